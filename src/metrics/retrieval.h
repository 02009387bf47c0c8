#pragma once
#include <torch/types.h>

#include <cstdint>

namespace tessera {

/// Recall at k as retrieval benchmarks count it: the part of the queries, from 0 to 1, for which at least one relevant
/// item is among the k best. Queries without a relevant item do not count.
/// @param scores    queries x items
/// @param relevant  queries x items, bool
double recall_at(const torch::Tensor& scores, const torch::Tensor& relevant, int64_t k);

/// Recall in both directions, from the same scores.
struct RetrievalResult {
  double text_to_image_1 = 0, text_to_image_5 = 0, text_to_image_10 = 0;
  double image_to_text_1 = 0, image_to_text_5 = 0, image_to_text_10 = 0;
};
/// @param images  B x D, any length; texts: C x D; relevant: texts x images, bool
RetrievalResult retrieval(const torch::Tensor& images, const torch::Tensor& texts, const torch::Tensor& relevant);

}  // namespace tessera
