#pragma once
#include <torch/types.h>

#include <vector>

#include "io/image.h"

namespace tessera {

/// What a trained model must beat: nearest neighbours on features that nobody trained. Pictures with alpha are laid on
/// white first.

/// The picture resized to 16 x 16 RGB, from 0 to 1: 768 numbers.
torch::Tensor pixel_features(const Image& image);

/// Histograms of oriented gradients (Dalal and Triggs, 2005): 64 x 64 pixels, cells of 8 x 8 with 9 unsigned
/// orientations, blocks of 2 x 2 cells with the L2-Hys norm: 7 x 7 x 4 x 9 = 1764 numbers. Of the three colours the one
/// with the largest gradient counts in each pixel.
torch::Tensor hog_features(const Image& image);

/// For each test picture the place (from 0) of its class when the classes are ordered by their nearest training picture
/// (Euclidean distance; of equal distances the smaller class comes first).
/// @param train         N x D features
/// @param train_classes N classes, from 0
/// @param test          M x D
/// @param test_classes  M; a class without training pictures gets the place behind all others
/// @throws Error when the shapes do not fit
std::vector<int64_t> nearest_neighbour_ranks(const torch::Tensor& train, const std::vector<int64_t>& train_classes,
                                             const torch::Tensor& test, const std::vector<int64_t>& test_classes);

/// The share of ranks below k; 0 where there are none.
double top_k(const std::vector<int64_t>& ranks, int64_t k);

}  // namespace tessera
