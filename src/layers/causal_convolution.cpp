#include "layers/causal_convolution.h"

#include <cmath>

#include "kernels/convolution.h"
#include "kernels/inference.h"

namespace tessera {

CausalConvolution::CausalConvolution(int64_t channels, int64_t kernel, bool with_bias) {
  weight = Module::weight("weight", {channels, 1, kernel}, 1 / std::sqrt(static_cast<double>(kernel)));
  if (with_bias) bias = Module::weight("bias", {channels}, 0);
}

Tensor CausalConvolution::forward(const Tensor& x, const Tensor& mask, ConvolutionState* state) {
  const int64_t batch = x.size(0), length = x.size(1), channels = weight.size(0), kernel = weight.size(2);
  if (!state && !mask.defined() && for_inference({x, weight, bias})) {
    const Tensor y = depthwise_convolution(x.transpose(1, 2).unsqueeze(2), weight.unsqueeze(2), bias,
                                           {.left = kernel - 1, .rows = 1, .columns = length});
    return tap(*this, y.squeeze(2).transpose(1, 2));
  }
  const auto flags = x.options().dtype(torch::kBool).requires_grad(false);
  ConvolutionState past = state ? *state : ConvolutionState{};
  if (!past.inputs.defined()) {
    past.inputs = torch::zeros({batch, channels, kernel}, x.options().requires_grad(false));
    past.real = torch::zeros({batch, kernel}, flags);
  }
  Tensor inputs = torch::cat({past.inputs, x.transpose(1, 2)}, 2);  // B x channels x T, T = kernel + L
  Tensor real =
      torch::cat({past.real, mask.defined() ? mask.to(torch::kBool) : torch::ones({batch, length}, flags)}, 1);
  Tensor order;  // B x T: what is not real goes to the front, otherwise the order stays
  if (mask.defined()) {
    const int64_t total = kernel + length;
    const Tensor place = torch::arange(total, flags.dtype(torch::kInt64));
    order = (real.to(torch::kInt64) * total + place).argsort(int64_t{1}, false);
    inputs = inputs.gather(2, order.unsqueeze(1).expand({-1, channels, -1}));
    real = real.gather(1, order);
  }
  Tensor y = torch::conv1d(inputs, weight, bias, at::IntArrayRef{1}, at::IntArrayRef{0}, at::IntArrayRef{1},
                           channels);  // B x channels x L + 1, of the last L + 1 inputs
  if (mask.defined()) {
    const Tensor back =
        (order.argsort(int64_t{1}, false).narrow(1, kernel, length) - (kernel - 1)).clamp_min(0);  // B x L
    y = y.gather(2, back.unsqueeze(1).expand({-1, channels, -1}));
  } else {
    y = y.narrow(2, 1, length);
  }
  if (state) *state = {inputs.narrow(2, length, kernel), real.narrow(1, length, kernel)};
  return tap(*this, y.transpose(1, 2));
}

}  // namespace tessera
