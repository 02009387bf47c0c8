#pragma once
#include "train/optimizer.h"

namespace tessera {

/// An exponential moving average of the weights and of the floating-point buffers (Polyak and Juditsky, 1992); it
/// follows faster in the beginning: the decay of step t is min(decay, (1 + t) / (10 + t)).
class Ema {
 public:
  /// @param tensors  the live weights
  Ema(NamedTensors tensors, double decay);

  void update(int64_t step);

  /// The averages, by the names of the weights; they share storage, so that copying into them restores the state.
  const NamedTensors& averages() const { return averages_; }

 private:
  NamedTensors tensors_, averages_;
  double decay_;
};

/// Parameters and buffers of a module, parameters first.
NamedTensors weights_of(const torch::nn::Module& module);

/// Copies `from` into the weights of a module that has the same names. @throws Error naming what does not fit
void copy_weights(const NamedTensors& from, const torch::nn::Module& module);

}  // namespace tessera
