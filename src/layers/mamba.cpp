#include "layers/mamba.h"

#include <cmath>

#include "kernels/inference.h"
#include "layers/elementwise.h"
#include "layers/mixers.h"
#include "layers/recurrence_gradient.h"
#include "layers/recurrent.h"

namespace tessera {

TESSERA_OPTIONS(MambaOptions, dim, inner, state, kernel, rank, bias, convolution_bias, chunk)

namespace {

const MixerRegistration<MambaMixer, MambaOptions> registration("mamba");

/// B x L x groups x N -> B x L x D x N.
Tensor for_channels(const Tensor& x, int64_t channels) {
  return x.size(2) == 1 ? x : x.repeat_interleave(channels / x.size(2), 2);
}

}  // namespace

SelectiveResult selective_scan(const SelectiveInputs& given, const Tensor& before, int64_t chunk) {
  const SelectiveInputs in{widened(given.x), widened(given.dt), widened(given.a), widened(given.b), widened(given.c)};
  const int64_t length = in.x.size(1), channels = in.x.size(2);
  Tensor state = before;
  if (fit_kernels({in.x, in.dt, in.a, in.b, in.c, before})) {
    if (!state.defined()) state = torch::zeros({in.x.size(0), channels, in.a.size(1)}, in.x.options());
    return selective_scan_with_gradient(in, state);
  }
  std::vector<Tensor> pieces;
  for (int64_t at = 0; at < length; at += chunk) {
    const int64_t count = std::min(chunk, length - at);
    const auto cut = [&](const Tensor& x) { return x.narrow(1, at, count); };
    const Tensor dt = cut(in.dt).unsqueeze(-1),
                 gained = dt * for_channels(cut(in.b), channels) * cut(in.x).unsqueeze(-1);
    const Tensor h = linear_scan(torch::exp(dt * in.a), gained, state);  // B x C x D x N
    pieces.push_back((h * for_channels(cut(in.c), channels)).sum(-1));
    state = h.select(1, count - 1);
  }
  return {torch::cat(pieces, 1), state};
}

MambaMixer::MambaMixer(const MambaOptions& options) : options_(options) {
  auto& o = options_;
  if (o.inner <= 0) o.inner = 2 * o.dim;
  if (o.rank <= 0) o.rank = (o.dim + 15) / 16;
  in_proj_ = add<Linear>("in_proj", o.dim, 2 * o.inner, o.bias);
  convolution_ = add<CausalConvolution>("convolution", o.inner, o.kernel, o.convolution_bias);
  x_proj_ = add<Linear>("x_proj", o.inner, o.rank + 2 * o.state, false);
  dt_proj_ = add<Linear>("dt_proj", o.rank, o.inner);
  // The paper's first values: decays of 1 ... N, and steps between 0.001 and 0.1 (through the inverse of softplus).
  a_log_ = register_parameter("a_log", torch::arange(1, o.state + 1, torch::kFloat32).log().repeat({o.inner, 1}));
  d_ = ones("d", {o.inner});
  out_proj_ = add<Linear>("out_proj", o.inner, o.dim, o.bias);
  const torch::NoGradGuard no_grad;
  const Tensor step = torch::empty({o.inner}).uniform_(std::log(1e-3), std::log(0.1)).exp();
  dt_proj_->bias.copy_(step + torch::log(-torch::expm1(-step)));
}

Tensor MambaMixer::mix(const Tokens& tokens, MambaState* state) {
  const auto& o = options_;
  const Tensor real = tokens.mask.defined() ? tokens.mask.to(tokens.x.scalar_type()).unsqueeze(-1) : Tensor();
  const auto without_padding = [&](const Tensor& x) { return real.defined() ? x * real : x; };
  const auto branches = in_proj_->forward(tokens.x).chunk(2, -1);
  const Tensor x = elementwise::silu(
      convolution_->forward(without_padding(branches[0]), tokens.mask, state ? &state->convolution : nullptr));
  const auto selected = x_proj_->forward(x).split_with_sizes({o.rank, o.state, o.state}, -1);
  const Tensor dt = without_padding(torch::softplus(dt_proj_->forward(selected[0])));
  const SelectiveResult result =
      selective_scan({x, dt, -torch::exp(a_log_), selected[1].unsqueeze(2), selected[2].unsqueeze(2)},
                     state ? state->state : Tensor(), o.chunk);
  if (state) state->state = result.state;
  return tap(*this, out_proj_->forward((result.y + x * d_) * elementwise::silu(branches[1])));
}

}  // namespace tessera
