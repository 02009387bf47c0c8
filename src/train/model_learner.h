#pragma once
#include "train/learner.h"

namespace tessera {

/// A Learner of the parameters of module() that need a gradient. A step's loss is the mean of its micro-batches', and
/// goes back through each before the next is read.
class ModelLearner : public Learner {
 public:
  using Learner::Learner;

  NamedTensors trained() const override;
  /// The weights, as "model.NAME".
  NamedTensors tensors() const override;
  /// Parameters and buffers of module().
  NamedTensors weights() const override;
  double step(int64_t number) override;

 protected:
  /// The mean loss of a micro-batch. They are asked for in order; the first of step s is s * accumulate.
  virtual Tensor loss_of(int64_t micro) = 0;
  /// Adds the gradients of a loss.
  virtual void backward(const Tensor& loss);

  /// The value of a step's loss, or a part of it, after its gradients were added. @throws Error when it is not finite
  double learn(const Tensor& loss, int64_t number);
};

}  // namespace tessera
