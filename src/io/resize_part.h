#pragma once
#include "io/resize.h"
#include "io/transform.h"

namespace tessera {

/// A part of a picture, in its pixels.
struct Part {
  int64_t top = 0, left = 0, height = 0, width = 0;
};

/// What center_crop() keeps of a picture of `height` x `width`; it reaches outside where the crop is larger.
Part middle_of(int64_t height, int64_t width, int64_t crop_height, int64_t crop_width, Centre centre);

/// What window() takes of resize() to `height` x `width`, equal to the bit; no other pixel of it is computed.
/// @throws Error as resize() does, and where the part is empty or reaches outside
Image resize_part(const Image& image, int64_t height, int64_t width, const Part& part, Filter filter = Filter::kBicubic,
                  Arithmetic arithmetic = Arithmetic::kPil);

}  // namespace tessera
