#pragma once
#include <torch/types.h>

#include "kernels/nonlinearity.h"

namespace tessera {

/// The activation of every number, for inference on a CPU.
/// @param x  float32, in any layout, which the result takes over
torch::Tensor fused_activation(const torch::Tensor& x, Nonlinearity kind);

}  // namespace tessera
