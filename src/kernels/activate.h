#pragma once
#include <torch/types.h>

#include "kernels/nonlinearity.h"

namespace tessera {

/// Whether the kernels below know these numbers: float32 or bfloat16 on a CPU.
bool can_activate(const torch::Tensor& x);

/// The activation of every number, without a gradient.
/// @param x      in any layout, which the result takes over
/// @param gated  the first half of the last axis, activated, times the second: ... x 2n -> ... x n, contiguous
torch::Tensor fused_activation(const torch::Tensor& x, Nonlinearity kind, bool gated = false);

/// What a loss gains by each number that fused_activation() read, in the type of x.
/// @param gradient  what it gains by the result
torch::Tensor activation_gradient(const torch::Tensor& x, const torch::Tensor& gradient, Nonlinearity kind,
                                  bool gated = false);

}  // namespace tessera
