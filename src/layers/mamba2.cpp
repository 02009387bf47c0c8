#include "layers/mamba2.h"

#include <cmath>

#include "core/error.h"
#include "layers/elementwise.h"
#include "layers/ssd.h"

namespace tessera {

Mamba2Mixer::Mamba2Mixer(const Mamba2MixerOptions& options)
    : options_(options), activation_(activation(options.activation)) {
  const auto& o = options_;
  if (o.groups < 1 || o.heads % o.groups != 0 || o.chunk < 1 || o.kernel < 1)
    throw Error(std::to_string(o.heads) + " heads, " + std::to_string(o.groups) + " groups, chunks of " +
                    std::to_string(o.chunk) + " and a kernel of " + std::to_string(o.kernel) + " do not fit together",
                "Mamba-2", "the number of heads is a multiple of the groups");
  const int64_t inner = o.heads * o.head_dim, mixed = inner + 2 * o.groups * o.state;
  in_proj_ = add<Linear>("in_proj", o.dim, inner + mixed + o.heads, o.bias);
  convolution_ = add<CausalConvolution>("convolution", mixed, o.kernel, o.convolution_bias);
  // The paper's first values: steps between 0.001 and 0.1 on a logarithmic scale (through the inverse of softplus), and
  // decays between 1 and 16.
  const Tensor step = torch::empty({o.heads}).uniform_(std::log(1e-3), std::log(0.1)).exp();
  dt_bias_ = register_parameter("dt_bias", step + torch::log(-torch::expm1(-step)));
  a_log_ = register_parameter("a_log", torch::empty({o.heads}).uniform_(1, 16).log());
  d_ = ones("d", {o.heads});
  norm_ = add<Norm>("norm", inner, o.eps, "rms");
  out_proj_ = add<Linear>("out_proj", inner, o.dim, o.bias);
}

Tensor Mamba2Mixer::mix(const Tokens& tokens, Mamba2State* state) {
  const auto& o = options_;
  const int64_t inner = o.heads * o.head_dim, mixed = inner + 2 * o.groups * o.state;
  const Tensor real = tokens.mask.defined() ? tokens.mask.to(tokens.x.scalar_type()).unsqueeze(-1) : Tensor();
  const auto without_padding = [&](const Tensor& x) { return real.defined() ? x * real : x; };
  const Tensor projected = in_proj_->forward(without_padding(tokens.x));
  const Tensor gate = projected.narrow(-1, 0, inner);
  Tensor input = projected.narrow(-1, inner, mixed);
  if (!o.padding_bias) input = without_padding(input);
  const Tensor convolved =
      without_padding(activation_(convolution_->forward(input, tokens.mask, state ? &state->convolution : nullptr)));
  const Tensor dt = without_padding(
      torch::softplus(projected.narrow(-1, inner + mixed, o.heads) + dt_bias_).clamp(o.shortest_step, o.longest_step));
  const Tensor y = scan(convolved, dt, state);  // B x L x inner
  return tap(*this, out_proj_->forward(norm_->forward(y * elementwise::silu(gate))));
}

Tensor Mamba2Mixer::scan(const Tensor& convolved, const Tensor& dt, Mamba2State* state) {
  const auto& o = options_;
  const int64_t batch = dt.size(0), length = dt.size(1), inner = o.heads * o.head_dim, grouped = o.groups * o.state;
  const SsdInputs in{convolved.narrow(-1, 0, inner).reshape({batch, length, o.heads, o.head_dim}), dt, -a_log_.exp(),
                     convolved.narrow(-1, inner, grouped).reshape({batch, length, o.groups, o.state}),
                     convolved.narrow(-1, inner + grouped, grouped).reshape({batch, length, o.groups, o.state})};
  const Tensor before = state ? state->state : Tensor();
  const SsdResult result = length == 1 ? ssd_step(in, before) : ssd_scan(in, before, o.chunk);
  if (state) state->state = result.state;
  return (result.y + in.x * d_.unsqueeze(-1)).reshape({batch, length, inner});
}

}  // namespace tessera
