#include "tune/added_parts.h"

#include "core/error.h"

namespace tessera {

Scale::Scale(int64_t size, bool inputs) : inputs_(inputs) {
  factors = register_parameter("factors", inputs ? torch::ones({1, size}) : torch::ones({size, 1}));
}

Tensor Scale::change(const Tensor& x, const Tensor& y, const LayerWeights& layer) {
  return inputs_ ? torch::linear(x * factors.flatten(), layer.weight, layer.bias) : y * factors.flatten();
}

LayerWeights Scale::merged(const LayerWeights& layer) {
  const bool scales_bias = !inputs_ && layer.bias.defined();
  return {layer.weight * factors, scales_bias ? layer.bias * factors.flatten() : layer.bias};
}

Bottleneck::Bottleneck(int64_t dim, int64_t hidden, const std::string& activation_name)
    : activation_(activation(activation_name)) {
  down_weight = weight("down_weight", {hidden, dim}, 0.01);
  down_bias = weight("down_bias", {hidden}, 0);
  up_weight = weight("up_weight", {dim, hidden}, 0);
  up_bias = weight("up_bias", {dim}, 0);
}

Tensor Bottleneck::change(const Tensor&, const Tensor& y, const LayerWeights&) {
  return y + torch::linear(activation_(torch::linear(y, down_weight, down_bias)), up_weight, up_bias);
}

LayerWeights Bottleneck::merged(const LayerWeights&) {
  throw Error("bottleneck adapters cannot be merged", "adapter", "they are not linear; keep them attached");
}

Replacement::Replacement(const LayerWeights& layer) {
  weight = register_parameter("weight", layer.weight.detach().clone());
  if (layer.bias.defined()) bias = register_parameter("bias", layer.bias.detach().clone());
}

Tensor Replacement::change(const Tensor& x, const Tensor&, const LayerWeights&) {
  return x.is_floating_point() ? torch::linear(x, weight, bias) : torch::embedding(weight, x);
}

}  // namespace tessera
