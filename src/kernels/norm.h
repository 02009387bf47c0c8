#pragma once
#include <torch/types.h>

namespace tessera {

/// Normalisation of the last axis, for inference on a CPU: one pass over memory, sums in float32.
/// @param x       ... x dim, float32 or bfloat16
/// @param weight  dim, float32
/// @param bias    dim, float32: layer norm (Ba et al., 2016). Undefined: by the root mean square (Zhang and Sennrich,
///                2019)
/// @param type    of the result: float32 or bfloat16
torch::Tensor fused_norm(const torch::Tensor& x, const torch::Tensor& weight, const torch::Tensor& bias, double eps,
                         torch::ScalarType type);

/// Turns the first 2 x pairs channels of each head of `x` by their position's angle, in place.
/// @param x         B x L x heads x dim, the last two axes contiguous, float32 or bfloat16
/// @param cosine    B or 1 x L x pairs, float32, contiguous
/// @param adjacent  channels 2i and 2i + 1 are a pair, instead of i and pairs + i
void rotate_in_place(torch::Tensor& x, const torch::Tensor& cosine, const torch::Tensor& sine, bool adjacent);

}  // namespace tessera
