#pragma once
#include "core/registry.h"
#include "core/tokens.h"
#include "layers/attention.h"
#include "layers/feed_forward.h"

namespace tessera {

/// Tokens to one vector per sample.
class Pool : public Module {
 public:
  virtual Tensor forward(const Tokens& tokens) = 0;  // B x L x D -> B x width(D)
  virtual int64_t width(int64_t dim) const { return dim; }
};

/// The pools by "kind": "first" (the first token), "mean" (mean of the real tokens that are neither prefix nor suffix;
/// with "dim" and "eps", a norm after it), "prefix" (that of the prefix alone), "last" (the last position), "ends" (the
/// first and the last), "attention" (SigLIP's pooling head).
Registry<Pool>& pools();

struct MeanPoolOptions {
  int64_t dim = 0;  ///< width of the norm after the mean; 0: no norm
  double eps = 1e-6;
};
TESSERA_OPTIONS(MeanPoolOptions, dim, eps)

class MeanPool : public Pool {
 public:
  explicit MeanPool(const MeanPoolOptions& options);
  Tensor forward(const Tokens& tokens) override;

 private:
  std::shared_ptr<Norm> norm_;
};

struct EndsPoolOptions {
  bool joined = true;  ///< side by side; otherwise their mean
  int64_t dim = 0;     ///< width of the norm of the result; 0: no norm
  double eps = 1e-5;
};
TESSERA_OPTIONS(EndsPoolOptions, joined, dim, eps)

/// The first and the last token, which a recurrence that runs in both directions leaves with all it has read (Alkin et
/// al., 2024).
class EndsPool : public Pool {
 public:
  explicit EndsPool(const EndsPoolOptions& options);
  Tensor forward(const Tokens& tokens) override;
  int64_t width(int64_t dim) const override { return joined_ ? 2 * dim : dim; }

 private:
  bool joined_;
  std::shared_ptr<Norm> norm_;
};

struct AttentionPoolOptions {
  int64_t dim = 768, heads = 12, ffn = 3072;
  std::string activation = "gelu";
  double eps = 1e-6;
};

TESSERA_OPTIONS(AttentionPoolOptions, dim, heads, ffn, activation, eps)

/// One learned query attends to all tokens; a feed-forward with norm and residual follows (Zhai et al., 2023).
class AttentionPool : public Pool {
 public:
  explicit AttentionPool(const AttentionPoolOptions& options);
  Tensor forward(const Tokens& tokens) override;

 private:
  AttentionPoolOptions options_;
  Tensor probe_;  // 1 x 1 x D
  std::shared_ptr<Linear> qkv_, proj_;
  std::shared_ptr<Norm> norm_;
  std::shared_ptr<Mlp> ffn_;
};

}  // namespace tessera
