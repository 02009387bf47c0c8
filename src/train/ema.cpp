#include "train/ema.h"

#include <algorithm>

#include "core/error.h"

namespace tessera {

Ema::Ema(NamedTensors tensors, double decay) : tensors_(std::move(tensors)), decay_(decay) {
  for (const auto& [name, tensor] : tensors_) averages_.emplace_back(name, tensor.detach().clone());
}

void Ema::update(int64_t step) {
  torch::NoGradGuard no_gradient;
  const auto t = static_cast<double>(step);
  const double decay = std::min(decay_, (1 + t) / (10 + t));
  for (size_t i = 0; i < tensors_.size(); ++i) {
    const Tensor& live = tensors_[i].second;
    if (live.is_floating_point())
      averages_[i].second.lerp_(live.detach(), 1 - decay);
    else
      averages_[i].second.copy_(live);
  }
}

NamedTensors weights_of(const torch::nn::Module& module) {
  NamedTensors weights;
  for (const auto& item : module.named_parameters()) weights.emplace_back(item.key(), item.value());
  for (const auto& item : module.named_buffers()) weights.emplace_back(item.key(), item.value());
  return weights;
}

void copy_weights(const NamedTensors& from, const torch::nn::Module& module) {
  torch::NoGradGuard no_gradient;
  std::map<std::string, Tensor> given(from.begin(), from.end());
  for (auto& [name, tensor] : weights_of(module)) {
    const auto at = given.find(name);
    if (at == given.end()) throw Error("the tensor is missing", name);
    if (at->second.sizes() != tensor.sizes()) throw Error("the tensor has another shape than the model's", name);
    tensor.copy_(at->second);
  }
}

}  // namespace tessera
