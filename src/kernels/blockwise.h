#pragma once
#include <torch/types.h>

namespace tessera {

/// Blocks of four channels, each times a matrix of its own, for inference on a CPU.
/// @param x       ... x C, float32
/// @param weight  C / 4 x 4 (out) x 4 (in), float32
/// @param bias    C, float32; undefined: none
torch::Tensor products_of_fours(const torch::Tensor& x, const torch::Tensor& weight, const torch::Tensor& bias);

}  // namespace tessera
