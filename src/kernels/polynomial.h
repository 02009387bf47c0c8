#pragma once
#include <torch/types.h>

namespace tessera {

/// w0 f(x^3) + w1 f(x^2) + w2 f(x) + b in one pass over memory, for inference on a CPU (PolyCom: Zhuo et al., 2024).
/// @param x           ... x dim, float32
/// @param weight      3, float32
/// @param bias        1, float32
/// @param normalised  f divides by the root mean square over the last axis (with eps); otherwise the powers are those
/// of
///                    relu(x)
torch::Tensor fused_polynomial(const torch::Tensor& x, const torch::Tensor& weight, const torch::Tensor& bias,
                               bool normalised, double eps);

}  // namespace tessera
