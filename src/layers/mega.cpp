#include "layers/mega.h"

#include <cmath>

#include "core/error.h"
#include "layers/diagonal_ssm.h"
#include "layers/elementwise.h"
#include "layers/mixers.h"
#include "layers/packing.h"

namespace tessera {

TESSERA_OPTIONS(EmaOptions, dim, averages, causal)
TESSERA_OPTIONS(MegaOptions, dim, key_dim, value_dim, averages, chunk, length, causal, laplace, eps)

namespace {

const MixerRegistration<EmaMixer, EmaOptions> ema_kind("ema");
const MixerRegistration<MegaMixer, MegaOptions> mega_kind("mega");

}  // namespace

EmaMixer::EmaMixer(const EmaOptions& options) : options_(options) {
  const auto& o = options_;
  const int64_t rows = o.causal ? o.dim : 2 * o.dim;
  delta_ = weight("delta", {rows, o.averages, 1}, 0.2), alpha_ = weight("alpha", {rows, o.averages, 1}, 0.2);
  beta_ = weight("beta", {rows, o.averages, 1}, 0.02), gamma_ = weight("gamma", {rows, o.averages}, 1);
  omega_ = weight("omega", {o.dim}, 1);
}

std::shared_ptr<State> EmaMixer::start() const { return options_.causal ? RecurrentMixer::start() : nullptr; }

/// q, p beta, gamma / sqrt(averages): rows x averages each.
std::vector<Tensor> EmaMixer::prepared() const {
  const Tensor p = elementwise::sigmoid(delta_), q = 1 - p * elementwise::sigmoid(alpha_);
  return {q.squeeze(-1), (p * beta_).squeeze(-1), gamma_ / std::sqrt(static_cast<double>(options_.averages))};
}

Tensor EmaMixer::kernel(int64_t length) const {
  const auto p = prepared();
  const auto real = [](const Tensor& x) { return torch::complex(x, torch::zeros_like(x)); };
  return DiagonalSsm{real(torch::log(p[0])), real(p[1]), real(p[2]), 1}.kernel(length);
}

Tensor EmaMixer::forward(const Tokens& tokens) {
  if (options_.causal || !tokens.mask.defined()) return RecurrentMixer::forward(tokens);
  return tap(*this, averaged(tokens.x * tokens.mask.unsqueeze(-1), tokens.x));
}

Tensor EmaMixer::whole(const Tensor& x) { return averaged(x, x); }

Tensor EmaMixer::averaged(const Tensor& x, const Tensor& skipped) {
  const Tensor taps = tap(*this, kernel(x.size(1)), "kernel");
  Tensor y = long_convolution(x, taps.narrow(0, 0, options_.dim));
  if (!options_.causal) y = y + long_convolution(x.flip(1), taps.narrow(0, options_.dim, options_.dim)).flip(1);
  return elementwise::silu(y + skipped * omega_);
}

std::vector<Tensor> EmaMixer::empty(int64_t batch, const torch::TensorOptions& like) const {
  return {torch::zeros({batch, options_.dim, options_.averages}, like)};
}

Tensor EmaMixer::advance(const Tensor& x, std::vector<Tensor>& state, const std::vector<Tensor>& p) {
  state[0] = state[0] * p[0] + p[1] * x.unsqueeze(-1);
  return elementwise::silu((state[0] * p[2]).sum(-1) + x * omega_);
}

MegaMixer::MegaMixer(const MegaOptions& options) : options_(options) {
  auto& o = options_;
  if (o.chunk > 0) o.length = o.chunk;
  norm_ = add<Norm>("norm", o.dim, o.eps);
  averages_ = add<EmaMixer>("averages", EmaOptions{.dim = o.dim, .averages = o.averages, .causal = o.causal});
  value_ = add<Linear>("value", o.dim, o.value_dim);
  mixed_ = add<Linear>("mixed", o.dim, o.key_dim + o.value_dim + 2 * o.dim);
  hidden_ = add<Linear>("hidden", o.value_dim, o.dim);
  gamma_ = weight("gamma", {2, o.key_dim}), beta_ = weight("beta", {2, o.key_dim}, 0);
  distance_ = weight("distance", {2 * o.length - 1});
}

std::shared_ptr<State> MegaMixer::start() const { return options_.causal ? std::make_shared<History>() : nullptr; }

Tensor MegaMixer::forward(const Tokens& tokens) {
  if (!options_.causal) return tap(*this, mix(tokens));
  const Packing packing(tokens);
  return tap(*this, packing.unpack(mix(packing.pack(tokens))));
}

Tensor MegaMixer::step(const Tokens& tokens, State& state) {
  const int64_t length = tokens.x.size(1);
  const Tensor mixed = forward(dynamic_cast<History&>(state).append(tokens));
  return mixed.narrow(1, mixed.size(1) - length, length);
}

Tensor MegaMixer::mix(const Tokens& tokens) {
  const auto& o = options_;
  const int64_t batch = tokens.x.size(0), length = tokens.x.size(1), side = o.chunk > 0 ? o.chunk : length;
  if (side > o.length)
    throw Error(std::to_string(side) + " tokens are more than the distances that it knows, " + std::to_string(o.length),
                "mega", "shorten the sequence, or choose chunks");
  const int64_t chunks = (length + side - 1) / side, filled = chunks * side;
  const Tensor x = norm_->forward(tokens.x);
  const Tensor v = elementwise::silu(value_->forward(x));
  const Tensor seen = tokens.mask.defined() ? x * tokens.mask.unsqueeze(-1) : x;
  const auto parts =
      mixed_->forward(averages_->averaged(seen, x)).split_with_sizes({o.dim, o.key_dim + o.value_dim, o.dim}, -1);
  const Tensor z =
      elementwise::silu(parts[1].narrow(-1, 0, o.key_dim)).unsqueeze(2) * gamma_ + beta_;  // B x L x 2 x key
  const Tensor gate = elementwise::silu(parts[1].narrow(-1, o.key_dim, o.value_dim));
  const auto cut = [&](const Tensor& y) {
    return torch::constant_pad_nd(y, {0, 0, 0, filled - length}).view({batch, chunks, side, y.size(2)});
  };
  Tensor real = tokens.mask;
  if (!real.defined() && filled > length)
    real = torch::ones({batch, length}, x.options().dtype(torch::kBool).requires_grad(false));
  if (real.defined())
    real = torch::constant_pad_nd(real.to(torch::kBool), {0, filled - length}, false).view({batch, chunks, 1, side});
  const Tensor read = attend(cut(z.select(2, 0)), cut(z.select(2, 1)), cut(v), real);
  const Tensor context = read.reshape({batch, filled, o.value_dim}).narrow(1, 0, length);
  const Tensor hidden = elementwise::silu(parts[2] + hidden_->forward(context * gate));
  return elementwise::sigmoid(parts[0]) * (hidden - tokens.x);
}

/// q, k, v: B x chunks x C x d; real: B x chunks x 1 x C, true where a key is no padding.
Tensor MegaMixer::attend(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& real) {
  const int64_t side = q.size(2);
  const Tensor at = torch::arange(side, q.options().dtype(torch::kInt64).requires_grad(false));
  const Tensor bias = distance_.index({at.unsqueeze(0) - at.unsqueeze(1) + options_.length - 1});  // C x C
  Tensor visible = torch::ones({side, side}, q.options().dtype(torch::kBool).requires_grad(false));
  if (options_.causal) visible = visible.tril();
  if (real.defined()) visible = visible & real;
  const Tensor scores = torch::matmul(q, k.transpose(-2, -1));
  Tensor weights;
  if (options_.laplace) {
    const Tensor count = visible.sum(-1, true).clamp_min(1);
    const Tensor logits = scores / count + bias;
    weights = 0.5 * (1 + torch::erf((logits - 0.707107) / (0.282095 * std::sqrt(2.0)))) * visible;
  } else {
    const Tensor logits = scores / std::sqrt(static_cast<double>(options_.key_dim)) + bias;
    weights = logits.masked_fill(visible.logical_not(), -1e9).softmax(-1);
  }
  return torch::matmul(tap(*this, weights, "weights"), v);
}

}  // namespace tessera
