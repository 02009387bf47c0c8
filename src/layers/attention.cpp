#include "layers/attention.h"

#include <cmath>
#include <limits>

#include "core/error.h"

namespace tessera {

Attention::Attention(const AttentionOptions& options) : options_(options) {
  const auto& o = options_;
  if (o.heads < 1 || o.dim % o.heads != 0)
    throw Error("width " + std::to_string(o.dim) + " cannot be split into " + std::to_string(o.heads) + " heads",
                "heads");
  qkv_ = add<Linear>("qkv", o.dim, 3 * o.dim, o.qkv_bias);
  proj_ = add<Linear>("proj", o.dim, o.dim);
  if (o.qk_norm) {
    q_norm_ = add<Norm>("q_norm", o.dim / o.heads, o.eps);
    k_norm_ = add<Norm>("k_norm", o.dim / o.heads, o.eps);
  }
}

Tensor Attention::forward(const Tokens& tokens) {
  const int64_t batch = tokens.x.size(0), length = tokens.x.size(1), head_dim = options_.dim / options_.heads;
  const Tensor qkv =
      qkv_->forward(tokens.x).view({batch, length, 3, options_.heads, head_dim}).permute({2, 0, 3, 1, 4});
  Tensor q = qkv[0], k = qkv[1];  // B x heads x L x d
  if (q_norm_) q = q_norm_->forward(q), k = k_norm_->forward(k);
  const Tensor bias = attention_bias(tokens.mask, options_.causal, length, q.options());
  const Tensor mixed = attend(*this, q, k, qkv[2], bias);
  const Tensor context = tap(*this, mixed.transpose(1, 2).reshape({batch, length, options_.dim}), "context");
  return tap(*this, proj_->forward(context));
}

Tensor attend(const torch::nn::Module& module, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& bias) {
  const double scale = 1 / std::sqrt(static_cast<double>(q.size(-1)));
  Tensor scores = torch::matmul(q * scale, k.transpose(-2, -1));  // B x heads x Lq x Lk
  if (bias.defined()) scores = scores + bias;
  return torch::matmul(tap(module, torch::softmax(scores, -1), "weights"), v);
}

Tensor attention_bias(const Tensor& mask, bool causal, int64_t length, const torch::TensorOptions& like) {
  Tensor hidden;
  if (causal) hidden = torch::ones({length, length}, like.dtype(torch::kBool)).triu(1);  // L x L
  if (mask.defined()) {
    const Tensor padded = mask.to(torch::kBool).logical_not().unsqueeze(1).unsqueeze(1);  // B x 1 x 1 x L
    hidden = hidden.defined() ? hidden | padded : padded;
  }
  if (!hidden.defined()) return {};
  // Half of the lowest value: added to a score it must not overflow to -inf.
  const double lowest = like.dtype() == torch::kFloat32 ? std::numeric_limits<float>::lowest() / 2 : -30000.0;
  return torch::zeros(hidden.sizes(), like).masked_fill_(hidden, lowest);
}

}  // namespace tessera
