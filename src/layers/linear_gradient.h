#pragma once
#include "layers/module.h"

namespace tessera {

/// Whether linear_with_gradient() is what autocast asks for with these parameters, float32 on a CPU that multiplies
/// bfloat16, while there are gradients.
bool can_multiply_with_gradient(const Tensor& weight, const Tensor& bias);
/// And whether it knows x, and anything learns.
bool can_multiply_with_gradient(const Tensor& x, const Tensor& weight, const Tensor& bias);

/// x W^T + b + residual in bfloat16 with sums in float32, and its gradient, whose products are such, too. It keeps x
/// alone, as bfloat16, or what makes it again (see KeptInput); gradients of the parameters are float32 and were never
/// less.
/// @param bias      may be undefined
/// @param residual  float32, of the result's shape; may be undefined
/// @return bfloat16, or with a residual float32
Tensor linear_with_gradient(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& residual = {});

}  // namespace tessera
