#pragma once
#include <vector>

#include "core/random.h"
#include "io/image.h"
#include "train/augment.h"

namespace tessera {

/// A map from the places of the result to those of the source, both in [-1, 1]: affine, then divided by 1 + p . (x, y),
/// then moved by a smooth field.
struct Warp {
  double xx = 1, xy = 0, x0 = 0, yx = 0, yy = 1, y0 = 0;  ///< affine
  double px = 0, py = 0;                                  ///< perspective
  std::vector<float> field;                               ///< 4 x 4 x 2 displacements, or empty
};

Warp draw_warp(const AugmentOptions& options, bool may_flip, Random& random);

/// Samples RGBA bytes bilinearly, transparent outside, into size x size x 4 floats in [0, 1].
void apply_warp(const Image& premultiplied, const Warp& warp, int64_t size, float* rgba);

}  // namespace tessera
