#include "kernels/narrow_linear.h"

#include "core/compat.h"

namespace tessera {

using torch::Tensor;

namespace {

constexpr double kLargestInt8 = 127;

/// Bytes with a factor for each row: rows x in, rows x 1.
std::pair<Tensor, Tensor> rounded_rows(const Tensor& rows) {
  const Tensor scale = rows.abs().amax(1, true).to(torch::kFloat32).clamp_min(1e-30) / kLargestInt8;
  return {(rows.to(torch::kFloat32) / scale).round().to(torch::kInt8), scale};
}

}  // namespace

NarrowWeights rounded_to_int8(const Tensor& weight) {
  const torch::NoGradGuard no_gradient;
  const auto [bytes, scale] = rounded_rows(weight.detach());
  return {bytes, scale.squeeze(1), {}};
}

Tensor narrow_linear(const Tensor& x, const NarrowWeights& layer, bool eight_bits) {
  if (!layer.scale.defined()) return torch::linear(x.to(torch::kBFloat16), layer.weight, layer.bias);
  const int64_t outputs = layer.weight.size(0), inputs = layer.weight.size(1);
  auto shape = x.sizes().vec();
  shape.back() = outputs;
  const Tensor rows = x.reshape({-1, inputs});
  Tensor y;  // rows x out, float32
  if (eight_bits && can_multiply_bytes(rows, layer.weight)) {
    const auto [bytes, scale] = rounded_rows(rows);
    y = multiply_bytes(bytes, layer.weight.t()).to(torch::kFloat32) * scale * layer.scale;
  } else {
    y = torch::matmul(rows.to(torch::kBFloat16), layer.weight.to(torch::kBFloat16).t()).to(torch::kFloat32) *
        layer.scale;
  }
  if (layer.bias.defined()) y = y + layer.bias;
  return y.to(torch::kBFloat16).view(shape);
}

}  // namespace tessera
