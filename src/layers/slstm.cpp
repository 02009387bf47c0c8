#include "layers/slstm.h"

#include "layers/elementwise.h"
#include "layers/mixers.h"

namespace tessera {

TESSERA_OPTIONS(SlstmOptions, dim, heads, kernel)

namespace {

const MixerRegistration<SlstmMixer, SlstmOptions> registration("slstm");

}  // namespace

SlstmMixer::SlstmMixer(const SlstmOptions& options) : options_(options) {
  const auto& o = options_;
  convolution_ = add<CausalConvolution>("convolution", o.dim, o.kernel, true);
  input_gate_ = add<HeadwiseLinear>("input_gate", o.dim, o.heads, false);
  forget_gate_ = add<HeadwiseLinear>("forget_gate", o.dim, o.heads, false);
  cell_ = add<HeadwiseLinear>("cell", o.dim, o.heads, false);
  output_gate_ = add<HeadwiseLinear>("output_gate", o.dim, o.heads, false);
  norm_ = add<HeadNorm>("norm", o.dim, o.heads, 1e-5, true, false);
  recurrent_ = weight("recurrent", {o.heads, 4 * o.dim / o.heads, o.dim / o.heads}, 0);
  bias_ = weight("bias", {4 * o.dim}, 0);
  const torch::NoGradGuard no_grad;
  bias_.narrow(0, o.dim, o.dim).copy_(torch::linspace(3, 6, o.dim));  // at first nothing is forgotten soon
}

Tensor SlstmMixer::forward(const Tokens& tokens) {
  SlstmState state;
  return step(tokens, state);
}

Tensor SlstmMixer::step(const Tokens& tokens, State& given) {
  auto& state = dynamic_cast<SlstmState&>(given);
  const int64_t batch = tokens.x.size(0), length = tokens.x.size(1);
  const Tensor real = tokens.mask.defined() ? tokens.mask.to(torch::kBool).unsqueeze(-1) : Tensor();  // B x L x 1
  const Tensor x = real.defined() ? tokens.x * real : tokens.x;
  const Tensor smooth = elementwise::silu(convolution_->forward(x, tokens.mask, &state.convolution));
  const Tensor from_input = torch::stack({input_gate_->forward(smooth), forget_gate_->forward(smooth),
                                          cell_->forward(x), output_gate_->forward(x)},
                                         2) +
                            bias_.view({4, -1});  // B x L x 4 x dim
  if (!state.c.defined())
    state.h = state.c = state.n = state.m = torch::zeros({batch, options_.dim}, x.options().requires_grad(false));
  std::vector<Tensor> outputs;
  for (int64_t t = 0; t < length; ++t) {
    advance(from_input.select(1, t), real.defined() ? real.select(1, t) : Tensor(), state);
    outputs.push_back(state.h);
  }
  return tap(*this, norm_->forward(torch::stack(outputs, 1)));
}

/// @param from_input  B x 4 x dim
/// @param real        B x 1
void SlstmMixer::advance(const Tensor& from_input, const Tensor& real, SlstmState& state) {
  const int64_t batch = from_input.size(0), heads = options_.heads, width = options_.dim / heads;
  const Tensor from_output = torch::einsum("hgi,bhi->bhg", {recurrent_, state.h.view({batch, heads, width})})
                                 .view({batch, heads, 4, width})
                                 .transpose(1, 2)
                                 .flatten(2);  // B x 4 x dim
  const auto gates = (from_input + from_output).unbind(1);
  const Tensor &input = gates[0], kept = torch::log_sigmoid(gates[1]) + state.m;
  const Tensor empty = state.n.eq(0).all(1, true);  // before the first token of a sequence, m means nothing
  const Tensor m = torch::where(empty, input, torch::maximum(input, kept));
  const Tensor one = torch::ones_like(m);
  const Tensor entered = torch::minimum(torch::exp(input - m), one), left = torch::minimum(torch::exp(kept - m), one);
  const Tensor c = left * state.c + entered * torch::tanh(gates[2]), n = left * state.n + entered;
  const Tensor h = elementwise::sigmoid(gates[3]) * c / n;
  const auto now = [&](const Tensor& next, const Tensor& before) {
    return real.defined() ? torch::where(real, next, before) : next;
  };
  state.h = now(h, state.h), state.c = now(c, state.c), state.n = now(n, state.n), state.m = now(m, state.m);
}

}  // namespace tessera
