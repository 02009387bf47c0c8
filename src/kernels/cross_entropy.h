#pragma once
#include <torch/types.h>

namespace tessera {

struct CrossEntropy {
  double sum = 0;          ///< over the rows, of the negative logarithm of the label's share
  torch::Tensor gradient;  ///< of factor times the sum by the logits, of their shape and type
};

/// The cross-entropy of rows of logits and its gradient at once, on a CPU: no wide copies of either.
/// @param logits  rows x classes, float32 or bfloat16
/// @param labels  rows, int64, each below the number of classes; a negative one has no part in either
/// @throws Error where a label is not
CrossEntropy cross_entropy(const torch::Tensor& logits, const torch::Tensor& labels, double factor);

}  // namespace tessera
