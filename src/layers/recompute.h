#pragma once
#include <functional>

#include "layers/module.h"

namespace tessera {

/// While it lives, the Blocks that this thread runs without a state keep their input alone and compute the rest again
/// in the backward pass (gradient checkpointing: Chen et al., 2016): a step needs the memory of one block and of the
/// inputs of all, and the time of another forward pass.
class Recomputation {
 public:
  Recomputation();
  ~Recomputation();
  Recomputation(const Recomputation&) = delete;
  Recomputation& operator=(const Recomputation&) = delete;

  /// Whether what runs now is to be computed again later: there is one on this thread, and a gradient to prepare for.
  static bool active();

 private:
  bool outer_;
};

/// run(x), of which x alone is kept. The backward pass runs it again with the same draws (dropout) and in the same
/// precision; nothing inside of it is kept a second time. Gradients of parameters are added to their grad(), so that
/// backward() is the way to ask for them.
/// @param module  what holds the parameters that `run` uses; it has to live until the backward pass
/// @param run     depends on nothing that is differentiated but x and those parameters
Tensor recomputed(const torch::nn::Module& module, std::function<Tensor(const Tensor&)> run, const Tensor& x);

}  // namespace tessera
