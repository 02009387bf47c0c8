#pragma once
#include "layers/module.h"

namespace tessera {

/// Whether norm_with_gradient() knows these numbers: float32 parameters on a CPU.
bool can_norm_with_gradient(const Tensor& x, const Tensor& weight, const Tensor& bias);

/// A norm of the last axis with a gradient. What it keeps for the way back is its result before weight and bias, so
/// that neither x nor the result have to be kept.
/// @param bias  undefined: by the root mean square; else layer norm
/// @param type  of the result: float32 or bfloat16
Tensor norm_with_gradient(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps,
                          torch::ScalarType type);

}  // namespace tessera
