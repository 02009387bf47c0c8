#include "layers/retention.h"

#include <cmath>

#include "core/error.h"
#include "kernels/inference.h"
#include "layers/elementwise.h"
#include "layers/mixers.h"
#include "layers/rotary.h"
#include "layers/ssd.h"

namespace tessera {

TESSERA_OPTIONS(RetentionOptions, dim, heads, value_dim, chunk, eps)

namespace {

const MixerRegistration<RetentionMixer, RetentionOptions> registration("retention");

}  // namespace

Tensor causal_decay(const Tensor& decay, int64_t length) {
  const Tensor at = torch::arange(length, decay.options());
  const Tensor distance = at.unsqueeze(1) - at;  // n - m
  return torch::pow(decay.view({-1, 1, 1}), distance.clamp_min(0)).tril();
}

RetentionMixer::RetentionMixer(const RetentionOptions& options) : options_(options) {
  auto& o = options_;
  if (o.value_dim <= 0) o.value_dim = 2 * o.dim;
  if (o.heads < 1 || o.dim % (2 * o.heads) != 0 || o.value_dim % o.heads != 0)
    throw Error(std::to_string(o.dim) + " and " + std::to_string(o.value_dim) + " channels cannot be split into " +
                    std::to_string(o.heads) + " heads",
                "retention", "keys need an even number of channels in each head");
  q_ = add<Linear>("q", o.dim, o.dim, false), k_ = add<Linear>("k", o.dim, o.dim, false);
  v_ = add<Linear>("v", o.dim, o.value_dim, false), gate_ = add<Linear>("gate", o.dim, o.value_dim, false);
  proj_ = add<Linear>("proj", o.value_dim, o.dim, false);
}

Tensor RetentionMixer::decay() const {
  const Tensor head = torch::arange(options_.heads, q_->weight.options().requires_grad(false));
  return 1 - torch::pow(2.0, -5 - head);
}

Tensor RetentionMixer::decay_mask(int64_t length) const {
  const Tensor mask = causal_decay(decay(), length);
  return mask / mask.sum(-1, true).sqrt();
}

/// @param at  positions, B or 1 x L
RetentionMixer::Heads RetentionMixer::project(const Tensor& x, const Tensor& at) {
  const int64_t width = options_.dim / options_.heads, pairs = width / 2;
  const auto split = [&](const Tensor& y) {
    return y.reshape({y.size(0), y.size(1), options_.heads, -1}).transpose(1, 2);
  };
  const Tensor frequency = torch::pow(10000.0, -torch::linspace(0, 1, pairs, at.options()));
  const Tensor angle = (at.unsqueeze(-1) * frequency).unsqueeze(1);  // B x 1 x L x pairs
  const Rotation rotation{angle.cos(), angle.sin(), true};
  return {rotation.apply(split(q_->forward(x))),
          rotation.apply(split(k_->forward(x)) / std::sqrt(static_cast<double>(width))), split(v_->forward(x))};
}

Tensor RetentionMixer::parallel(const Heads& h) const {
  const Tensor scores = torch::matmul(h.q, h.k.transpose(-2, -1)) * tap(*this, decay_mask(h.q.size(2)), "mask");
  // A bound on the row, through which no gradient passes; the norm after it hides it.
  const Tensor bound = scores.detach().abs().sum(-1, true).clamp(1, 5e4);
  return torch::matmul(tap(*this, scores / bound, "weights"), h.v);  // B x heads x L x value
}

/// As a state space whose steps are all of length one.
Tensor RetentionMixer::scanned(const Heads& h) const {
  const auto by_token = [](const Tensor& x) { return x.transpose(1, 2); };
  const Tensor gamma = decay(), v = by_token(h.v);
  // Of decay^n over all tokens so far, L x heads. No quotient of a series: many heads have decays that round to one.
  const Tensor sum = torch::pow(gamma, torch::arange(v.size(1), gamma.options()).unsqueeze(1)).cumsum(0);
  const Tensor read = ssd_scan({v, torch::ones({1, 1, 1}, gamma.options()).expand(v.sizes().slice(0, 3)), gamma.log(),
                                by_token(h.k), by_token(h.q)},
                               {}, options_.chunk)
                          .y;
  return (read / sum.sqrt().unsqueeze(-1)).transpose(1, 2);
}

Tensor RetentionMixer::chunked(const Heads& h) const {
  if (for_inference({h.q, h.k, h.v})) return scanned(h);
  const int64_t length = h.q.size(2);
  const Tensor gamma = decay().view({-1, 1, 1});
  Tensor memory, sum = torch::zeros_like(gamma);  // of decay^n over all tokens before the chunk: heads x 1 x 1
  std::vector<Tensor> pieces;
  for (int64_t begin = 0; begin < length; begin += options_.chunk) {
    const int64_t count = std::min(options_.chunk, length - begin);
    const auto cut = [&](const Tensor& x) { return x.narrow(2, begin, count); };
    const Tensor place = torch::arange(count, gamma.options()).view({1, -1, 1});
    const Tensor mask = causal_decay(gamma, count);     // heads x C x C
    const Tensor since = torch::pow(gamma, place + 1);  // heads x C x 1
    Tensor read = torch::matmul(torch::matmul(cut(h.q), cut(h.k).transpose(-2, -1)) * mask, cut(h.v));
    if (memory.defined()) read = read + torch::matmul(cut(h.q), memory) * since;
    pieces.push_back(read / (mask.sum(-1, true) + sum * since).sqrt());
    const Tensor left = torch::pow(gamma, static_cast<double>(count) - 1 - place);  // heads x C x 1
    const Tensor gained = torch::matmul((cut(h.k) * left).transpose(-2, -1), cut(h.v));
    const Tensor whole = torch::pow(gamma, static_cast<double>(count));
    memory = memory.defined() ? memory * whole + gained : gained;  // B x heads x key x value
    sum = sum * whole + left.sum(1, true);
  }
  return torch::cat(pieces, 2);
}

/// @param read  B x heads x L x value
Tensor RetentionMixer::finish(const Tensor& read, const Tensor& x) {
  const Tensor normed = read * torch::rsqrt(read.pow(2).mean(-1, true) + options_.eps);
  return proj_->forward(elementwise::silu(gate_->forward(x)) * normed.transpose(1, 2).flatten(2));
}

Tensor RetentionMixer::whole(const Tensor& x) {
  const Heads heads = project(x, torch::arange(x.size(1), x.options().requires_grad(false)).unsqueeze(0));
  const bool chunks = options_.chunk > 0 && x.size(1) > options_.chunk;
  return finish(chunks ? chunked(heads) : parallel(heads), x);
}

std::vector<Tensor> RetentionMixer::empty(int64_t batch, const torch::TensorOptions& like) const {
  const auto& o = options_;
  return {torch::zeros({batch, o.heads, o.value_dim / o.heads, o.dim / o.heads}, like),
          torch::zeros({batch, o.heads}, like), torch::zeros({batch}, like)};
}

Tensor RetentionMixer::advance(const Tensor& x, std::vector<Tensor>& state, const std::vector<Tensor>&) {
  const Tensor token = x.unsqueeze(1), gamma = decay();
  const Heads h = project(token, state[2].unsqueeze(1));
  const Tensor scale = state[1] * gamma + 1;  // B x heads
  const Tensor met = torch::matmul(h.v.transpose(-2, -1), h.k);
  const auto wide = [](const Tensor& y) { return y.unsqueeze(-1).unsqueeze(-1); };
  state[0] = state[0] * wide(state[1].sqrt() * gamma / scale.sqrt()) + met / wide(scale.sqrt());
  state[1] = scale, state[2] = state[2] + 1;
  return finish(torch::matmul(h.q, state[0].transpose(-2, -1)), token).squeeze(1);
}

}  // namespace tessera
