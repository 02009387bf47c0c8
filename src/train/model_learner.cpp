#include "train/model_learner.h"

#include <torch/csrc/autograd/autograd.h>

#include "train/ema.h"
#include "train/run_files.h"

namespace tessera {

NamedTensors ModelLearner::trained() const {
  NamedTensors trained;
  for (const auto& item : module().named_parameters())
    if (item.value().requires_grad()) trained.emplace_back(item.key(), item.value());
  return trained;
}

NamedTensors ModelLearner::tensors() const { return prefixed("model.", weights()); }

NamedTensors ModelLearner::weights() const { return weights_of(module()); }

double ModelLearner::step(int64_t number) {
  double sum = 0;
  for (int64_t i = 0; i < recipe_.accumulate; ++i)
    sum += learn(loss_of(number * recipe_.accumulate + i) / static_cast<double>(recipe_.accumulate), number);
  return sum;
}

void ModelLearner::backward(const Tensor& loss) { torch::autograd::backward({loss}, {}); }

double ModelLearner::learn(const Tensor& loss, int64_t number) {
  const double value = checked_loss(loss, number);
  backward(loss);
  return value;
}

}  // namespace tessera
