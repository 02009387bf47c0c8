#pragma once
#include <functional>

#include "layers/module.h"

namespace tessera {

/// The cross-entropy of many rows over a large vocabulary, and its gradients, without all logits at once: rows go
/// through the head and back in groups, and their gradients through the rest of the model together.
/// @param hidden  rows x D, what the head reads
/// @param labels  rows, int64
/// @param logits  the head: some rows x D -> some rows x vocabulary
/// @param factor  of the sum over the rows
/// @return the loss; its gradients have been added to those of the parameters
double backward_by_rows(const Tensor& hidden, const Tensor& labels, const std::function<Tensor(const Tensor&)>& logits,
                        double factor);

}  // namespace tessera
