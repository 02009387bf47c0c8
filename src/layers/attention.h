#pragma once
#include "layers/linear.h"
#include "layers/mixer.h"
#include "layers/norm.h"

namespace tessera {

struct AttentionOptions {
  int64_t dim = 768, heads = 12;
  bool qkv_bias = true;
  bool causal = false;   ///< a token sees itself and the tokens before it
  bool qk_norm = false;  ///< layer norm of every query and key (Dehghani et al., 2023)
  double eps = 1e-6;     ///< of that norm
};

/// Multi-head softmax attention (Vaswani et al., 2017): softmax(Q K^T / sqrt(d)) V, heads of width d = dim / heads.
/// Query, key and value are one fused projection; the name tables split it for checkpoints that store three.
/// Tokens whose mask is false are not attended to. Taps: "weights" (B x heads x L x L), "context" (before the
/// projection).
class Attention : public Mixer {
 public:
  explicit Attention(const AttentionOptions& options);
  Tensor forward(const Tokens& tokens) override;

 private:
  AttentionOptions options_;
  std::shared_ptr<Linear> qkv_, proj_;
  std::shared_ptr<Norm> q_norm_, k_norm_;
};

/// softmax(q k^T / sqrt(d) + bias) v for q, k, v: B x heads x L x d. `bias`, where defined, is added to the scores and
/// broadcasts to B x heads x Lq x Lk. `module` reports "weights" to the taps.
Tensor attend(const torch::nn::Module& module, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& bias);

/// The bias that hides padded keys (mask: B x L, true where real; may be undefined) and, where `causal`, later ones;
/// undefined when nothing is hidden. The hidden scores get the lowest finite value, so that a row without any key is
/// uniform instead of NaN.
Tensor attention_bias(const Tensor& mask, bool causal, int64_t length, const torch::TensorOptions& like);

}  // namespace tessera
