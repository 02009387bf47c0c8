#include "layers/variation.h"

namespace tessera {

LayerWeights Variation::part(const LayerWeights& layer) const {
  if (rows == 0) return layer;
  return {layer.weight.narrow(0, begin, rows), layer.bias.defined() ? layer.bias.narrow(0, begin, rows) : Tensor()};
}

void add_variation(torch::nn::Module& layer, const std::string& name, std::shared_ptr<Variation> variation) {
  layer.register_module(name, std::move(variation));
}

void remove_variation(torch::nn::Module& layer, const std::string& name) { layer.unregister_module(name); }

Tensor vary(const torch::nn::Module& layer, const Tensor& x, Tensor y, const LayerWeights& weights, int64_t axis) {
  for (const auto& child : layer.children()) {
    auto* variation = dynamic_cast<Variation*>(child.get());
    if (!variation || !variation->active) continue;
    const int64_t begin = variation->begin, rows = variation->rows, all = y.size(axis);
    if (rows == 0 || rows == all) {
      y = variation->change(x, y, weights);
      continue;
    }
    const Tensor changed = variation->change(x, y.narrow(axis, begin, rows), variation->part(weights));
    y = torch::cat({y.narrow(axis, 0, begin), changed, y.narrow(axis, begin + rows, all - begin - rows)}, axis);
  }
  return y;
}

}  // namespace tessera
