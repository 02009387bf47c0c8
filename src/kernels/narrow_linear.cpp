#include "kernels/narrow_linear.h"

#include "core/compat.h"
#include "kernels/quantiser.h"

namespace tessera {

using torch::Tensor;

NarrowWeights rounded_to_int8(const Tensor& weight) {
  const torch::NoGradGuard no_gradient;
  const Quantised bytes = quantised(weight.detach(), 0);
  return {bytes.numbers, bytes.scales.squeeze(1), {}};
}

Tensor narrow_linear(const Tensor& x, const NarrowWeights& layer, bool eight_bits) {
  if (!layer.scale.defined()) return torch::linear(x.to(torch::kBFloat16), layer.weight, layer.bias);
  const int64_t outputs = layer.weight.size(0), inputs = layer.weight.size(1);
  auto shape = x.sizes().vec();
  shape.back() = outputs;
  const Tensor rows = x.reshape({-1, inputs});
  Tensor y;  // rows x out, float32
  if (eight_bits && can_multiply_bytes(rows, layer.weight)) {
    const Quantised bytes = to_int8(rows);
    y = multiply_bytes(bytes.numbers, layer.weight.t()).to(torch::kFloat32) * bytes.scales * layer.scale;
  } else {
    y = torch::matmul(rows.to(torch::kBFloat16), layer.weight.to(torch::kBFloat16).t()).to(torch::kFloat32) *
        layer.scale;
  }
  if (layer.bias.defined()) y = y + layer.bias;
  return y.to(torch::kBFloat16).view(shape);
}

}  // namespace tessera
