#pragma once
#include <torch/types.h>

#include "kernels/sparse_pattern.h"

namespace tessera {

/// A weight that has a pattern ("2:4": Mishra et al., "Accelerating Sparse Deep Neural Networks", 2021), without what
/// is zero.
struct Sparse {
  SparsePattern pattern;
  torch::Tensor kept;    ///< outputs x inputs / of * kept, of the weight's type; zeros where fewer are left
  torch::Tensor places;  ///< uint8, likewise: which of the `of` inputs it is, from 0 on; those of one group differ
};

/// Whether a weight, outputs x inputs, has the pattern. One whose inputs are no multiple of `of` has not.
bool has_pattern(const torch::Tensor& weight, const SparsePattern& pattern);
/// @param weight  has_pattern()
Sparse to_sparse(const torch::Tensor& weight, const SparsePattern& pattern);
/// The weight again.
torch::Tensor to_dense(const Sparse& sparse);

/// Places in panels of 64 outputs (see panels.h), in the order in which the panels have the numbers: [panel][word][64]
/// [4 bytes]. As a word of the panel has one, two or four numbers, a word of places has as many parts: part i keeps the
/// places of part i of the words one after the other, the first in the lowest bits. Outputs are filled up.
/// @param type  of the numbers, which are a multiple of places_of_word()
torch::Tensor to_place_panels(const Sparse& sparse, torch::ScalarType type);
/// The places of some outputs again. @param bytes  outputs x words x 4
torch::Tensor from_place_bytes(const torch::Tensor& bytes, const SparsePattern& pattern, torch::ScalarType type);

/// A weight, outputs x inputs, that keeps the `kept` numbers of largest magnitude of every `of` consecutive inputs of
/// an output, the first where several are as large; the others are zero.
/// @throws Error where the inputs are no multiple of `of`, or `kept` is not between 1 and `of`
torch::Tensor keep_largest(const torch::Tensor& weight, int64_t kept, int64_t of);

}  // namespace tessera
