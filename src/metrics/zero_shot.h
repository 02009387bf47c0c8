#pragma once
#include <torch/types.h>

#include <cstdint>
#include <vector>

namespace tessera {

/// For each row of scores the rank of its true column, 1 for the best. A column with the same score counts as better,
/// so that a model that gives all the same is not rewarded.
/// @param scores  rows x columns
/// @param truth   rows, int64
/// @return rows, int64. @throws Error for a true column out of range or scores that are NaN
torch::Tensor true_ranks(const torch::Tensor& scores, const torch::Tensor& truth);

/// The part of the rows, from 0 to 1, whose rank is at most k. 0 for no rows.
double accuracy_at(const torch::Tensor& ranks, int64_t k);

/// Zero-shot classification (CLIP, Radford et al., 2021): each picture among texts, by the cosine of their features.
struct ZeroShotResult {
  int64_t pictures = 0, texts = 0;
  double top1 = 0, top5 = 0;
};
/// @param images  B x D, any length; texts: C x D; truth: B, int64, the text that is right
ZeroShotResult zero_shot(const torch::Tensor& images, const torch::Tensor& texts, const torch::Tensor& truth);

}  // namespace tessera
