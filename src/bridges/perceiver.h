#pragma once
#include "bridges/bridge.h"
#include "layers/cross_attention.h"
#include "layers/feed_forward.h"

namespace tessera {

struct PerceiverBridgeOptions {
  int64_t dim = 1152;      ///< of the encoder
  int64_t projection = 0;  ///< hidden width of the gated MLP that takes its tokens to `width`; 0: four times that
  std::string projection_activation = "silu";
  int64_t width = 4096;
  int64_t latents = 64, depth = 3, heads = 16, head_dim = 96, kv_heads = 4;
  std::string activation = "silu";
  double eps = 1e-6;
};
TESSERA_OPTIONS(PerceiverBridgeOptions, dim, projection, projection_activation, width, latents, depth, heads, head_dim,
                kv_heads, activation, eps)

/// Learned latents read the context and each other: the queries are the latents, the keys and values are the context's
/// tokens and then the latents; a gated MLP of four times the width follows.
class PerceiverLayer : public Module {
 public:
  explicit PerceiverLayer(const PerceiverBridgeOptions& options);
  /// @param latents  N x latents x width
  /// @param context  N x L x width, tokens whose mask is false are not read
  Tensor forward(const Tensor& latents, const Tokens& context);

 private:
  std::shared_ptr<Norm> latents_norm_, context_norm_, norm_;
  std::shared_ptr<CrossAttention> attention_;
  std::shared_ptr<GatedMlp> ffn_;
};

/// A fixed number of tokens from pictures of any size: the resampler of Flamingo (Alayrac et al., 2022) as Idefics2 has
/// it (Laurençon et al., 2024), behind a gated MLP.
class PerceiverBridge : public Bridge {
 public:
  explicit PerceiverBridge(const PerceiverBridgeOptions& options);
  Tokens forward(const Tokens& visual, const TextBatch* text = nullptr) override;
  int64_t width() const override { return latents_.size(1); }
  int64_t source_width() const override { return dim_; }
  int64_t length(int64_t) const override { return latents_.size(0); }

 private:
  int64_t dim_;
  std::shared_ptr<GatedMlp> projection_;
  Tensor latents_;  // latents x width
  std::shared_ptr<ModuleList<PerceiverLayer>> layers_;
  std::shared_ptr<Norm> norm_;
};

}  // namespace tessera
