#pragma once
#include <torch/types.h>

namespace tessera {

/// a b + bias + added, by oneDNN, with sums in float32. Without a gradient.
/// @param a      rows x inner, bfloat16 on a CPU; it may be a transposed view
/// @param b      inner x columns, likewise
/// @param type   of the result: bfloat16 or float32
/// @param bias   columns, float32; may be undefined
/// @param added  rows x columns, float32; may be undefined
torch::Tensor matrix_product(const torch::Tensor& a, const torch::Tensor& b, torch::ScalarType type,
                             const torch::Tensor& bias = {}, const torch::Tensor& added = {});

/// Whether this machine has matrix_product(): it multiplies bfloat16.
bool has_matrix_product();

}  // namespace tessera
