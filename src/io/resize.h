#pragma once
#include <optional>

#include "io/image.h"

namespace tessera {

/// Resampling filters; the numbers are PIL's codes, which published configurations hold.
enum class Filter { kNearest = 0, kLanczos = 1, kBilinear = 2, kBicubic = 3, kBox = 4, kHamming = 5 };

/// Both references resample bytes in fixed point, columns before rows, with the filter widened by the shrink factor and
/// the result of each pass rounded to bytes. They differ in the precision of the weights: by one grey level here and
/// there.
enum class Arithmetic {
  kPil,   ///< 22 fractional bits: PIL, so timm, open_clip and slow processors
  kAten,  ///< 16-bit weights: ATen on uint8 with antialias=True, so torchvision v2 and transformers' default processors
};

/// "nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"; nothing for any other name.
std::optional<Filter> filter_of(const std::string& name);
const char* filter_name(Filter filter);

/// Resizes to `height` x `width`, equal to the bit to `Image.resize` of PIL or to ATen's antialiased interpolation.
/// Alpha is resampled like a colour. @throws Error where a size is not positive or the picture is empty
Image resize(const Image& image, int64_t height, int64_t width, Filter filter = Filter::kBicubic,
             Arithmetic arithmetic = Arithmetic::kPil);

/// The same filters in float32, without rounding or clipping.
FloatImage resize(const FloatImage& image, int64_t height, int64_t width, Filter filter = Filter::kBicubic);

}  // namespace tessera
