#pragma once
#include <torch/types.h>

namespace tessera {

/// A weight of which at most two of every four consecutive inputs of an output are not zero ("2:4"; Mishra et al.,
/// "Accelerating Sparse Deep Neural Networks", 2021), without the other two.
struct Sparse {
  torch::Tensor kept;    ///< outputs x inputs / 2, of the weight's type; a zero where fewer than two are left
  torch::Tensor places;  ///< uint8, outputs x inputs / 4: the first of the two + 4 x the second, of 0 to 3
};

/// Whether a weight, outputs x inputs, is such. One whose inputs are no multiple of four is not.
bool is_two_of_four(const torch::Tensor& weight);
/// @param weight  is_two_of_four()
Sparse to_sparse(const torch::Tensor& weight);
/// The weight again.
torch::Tensor to_dense(const Sparse& sparse);

/// Places in panels of 64 outputs (see panels.h): [panel][inputs / 32][64][4], where byte i keeps the places of inputs
/// 8 i to 8 i + 3 in its lower half and those of the next four in its upper. Outputs are filled up.
/// @param places  outputs x inputs / 4, a multiple of eight
torch::Tensor to_place_panels(const torch::Tensor& places);
/// The same back of some outputs. @param bytes  outputs x inputs / 32 x 4
torch::Tensor from_place_bytes(const torch::Tensor& bytes);

/// A weight, outputs x inputs, that keeps the `kept` numbers of largest magnitude of every `of` consecutive inputs of
/// an output, the first where several are as large; the others are zero.
/// @throws Error where the inputs are no multiple of `of`, or `kept` is not between 1 and `of`
torch::Tensor keep_largest(const torch::Tensor& weight, int64_t kept, int64_t of);

}  // namespace tessera
