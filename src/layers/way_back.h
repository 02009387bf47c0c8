#pragma once
#include <torch/csrc/autograd/function.h>

#include "layers/module.h"

namespace tessera {

/// A step of the way back whose result is cheap to make again from what it keeps anyway: a norm, an activation. What
/// reads that result keeps the step instead (see KeptInput).
class Remakes : public torch::autograd::Node {
 public:
  /// The result of the way forward, up to the rounding of what was kept; without a gradient.
  /// @throws Error where what it kept is gone, after a backward pass
  virtual Tensor make_again() = 0;
};

/// The input of a step of the way forward, until the way back: the tensor, or what makes it again.
class KeptInput {
 public:
  KeptInput() = default;
  explicit KeptInput(const Tensor& x);
  Tensor get() const;
  void forget();

 private:
  std::shared_ptr<torch::autograd::Node> maker_;
  torch::autograd::SavedVariable kept_;
};

/// Makes `step` the one through which `result` is differentiated, by `inputs` in the order of the step's own results.
/// @param inputs  undefined ones, and those that need no gradient, are left out
Tensor with_step(Tensor result, const std::shared_ptr<torch::autograd::Node>& step, const std::vector<Tensor>& inputs);

/// Whether anything is to learn from any of these; undefined tensors do not matter.
bool learns(const std::vector<Tensor>& tensors);

/// @throws Error where a gradient of the gradient is asked for, which `what` has not
void refuse_second_gradient(const std::string& what);

}  // namespace tessera
