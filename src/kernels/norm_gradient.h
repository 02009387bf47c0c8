#pragma once
#include <torch/types.h>

namespace tessera {

/// A norm for a gradient, on a CPU: what it gives, and what the way back needs to know. See fused_norm().
struct NormWithTrace {
  torch::Tensor result;      ///< of the shape of x
  torch::Tensor normalised;  ///< the same before weight and bias, in the result's type
  torch::Tensor factor;      ///< what the numbers of a row were multiplied by, float32: one for each row
};
NormWithTrace norm_with_trace(const torch::Tensor& x, const torch::Tensor& weight, const torch::Tensor& bias,
                              double eps, torch::ScalarType type);

/// The result once more, from normalised numbers.
torch::Tensor scale_and_shift(const torch::Tensor& normalised, const torch::Tensor& weight, const torch::Tensor& bias);

struct NormGradients {
  torch::Tensor x;             ///< of the type asked for
  torch::Tensor weight, bias;  ///< float32; no bias without mean
};
/// @param gradient  by the result, of its type
/// @param centred   layer norm; else by the root mean square
/// @param type      of the gradient by x: float32 or bfloat16
NormGradients norm_gradients(const torch::Tensor& gradient, const torch::Tensor& normalised,
                             const torch::Tensor& factor, const torch::Tensor& weight, bool centred,
                             torch::ScalarType type);

}  // namespace tessera
