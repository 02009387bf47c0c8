#pragma once
#include "encoders/vit.h"
#include "layers/feed_forward.h"

namespace tessera {

/// Tokens-to-Token ViT (Yuan et al., 2021): overlapping patches become tokens, step by step, each time after tokens
/// have seen each other. A narrow ViT reads the result.
struct T2tVitOptions {
  std::vector<int64_t> image = {224, 224};  ///< height, width that the positions are made for
  int64_t channels = 3, token_dim = 64;     ///< token_dim: width of the steps
  bool performer = true;                    ///< the steps' attention is Performer's, of linear cost
  double performer_dropout = 0.1;           ///< of its results, while training
  int64_t dim = 384, depth = 14, heads = 6, ffn = 1152;
  bool qkv_bias = false;
  double scale = 0;  ///< of the scores of ViT; 0: 1 / sqrt(head width). The published weights need 1 / sqrt(dim)
  double eps = 1e-5, drop_path = 0, dropout = 0;
};
TESSERA_OPTIONS(T2tVitOptions, image, channels, token_dim, performer, performer_dropout, dim, depth, heads, ffn,
                qkv_bias, scale, eps, drop_path, dropout)

/// One step's layer: attention with one head, to which the values (and not its input, which is wider) are added, and a
/// feed-forward with residual. Softmax: the scale goes by the input's width. Taps: its result; "weights" (softmax).
class TokenTransformer : public Module {
 public:
  TokenTransformer(const T2tVitOptions& options, int64_t in);
  /// B x L x in -> B x L x token_dim
  Tensor forward(const Tensor& x);

 private:
  Tensor mix(const Tensor& x);

  T2tVitOptions options_;
  std::shared_ptr<Norm> norm1_, norm2_;
  std::shared_ptr<Linear> qkv_, proj_;  // Performer: the rows are key, query, value
  std::shared_ptr<Mlp> ffn_;
  Tensor directions_;  // Performer: token_dim / 2 x token_dim
};

/// Picture to a map of 1/16 of its extent: three soft splits (overlapping patches), with a layer after each of the
/// first two. Taps: "attention1", "attention2".
class TokensToToken : public Downsampler {
 public:
  explicit TokensToToken(const T2tVitOptions& options);
  Tensor forward(const Tensor& pixels) override;
  int64_t extent(int64_t before) const override;

 private:
  std::shared_ptr<TokenTransformer> attention1_, attention2_;
  std::shared_ptr<Linear> project_;
};

/// The overlapping patches of a map as tokens, B x L x C * kernel^2, the channels slowest.
Tensor soft_split(const Tensor& map, int64_t kernel, int64_t stride, int64_t padding);

/// Taps: those of Vit, and "patches.attention1", "patches.attention2".
class T2tVit : public Vit {
 public:
  explicit T2tVit(const T2tVitOptions& options);
};

}  // namespace tessera
