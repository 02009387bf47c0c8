#pragma once
#include <torch/types.h>

namespace tessera {

/// Matrices for a product in bfloat16, and the sums of their columns, on a CPU.

/// The sums of the columns of a matrix, float32, in an order that its shape alone decides.
/// @param x  rows x columns, float32 or bfloat16, contiguous
torch::Tensor column_sums(const torch::Tensor& x);

/// The numbers in bfloat16, to the nearest; those that are, as they are.
/// @param x     float32 or bfloat16
/// @param sums  where column_sums(x) is wanted as well, in the same pass; x is a matrix then
torch::Tensor narrowed(const torch::Tensor& x, torch::Tensor* sums = nullptr);

}  // namespace tessera
