#pragma once
#include "io/image.h"

namespace tessera {

/// RGB as PIL's convert("RGB") makes it: grey is repeated, alpha is dropped (the colours under it show). That is what
/// the published processors do; `composite` is what a viewer does. Takes 1, 3 or 4 channels.
Image convert_rgb(Image image);

/// RGB: the picture over a background, by its alpha; without alpha, as `convert_rgb`.
Image composite(const Image& image, Colour background);

/// A window of `height` x `width` at (top, left), which may reach outside; there the pixels are `fill` (opaque).
Image window(const Image& image, int64_t top, int64_t left, int64_t height, int64_t width, Colour fill = {});

/// How a centre that falls between two pixels is rounded.
enum class Centre {
  kDown,  ///< transformers' torchvision processors
  kEven,  ///< torchvision's CenterCrop, so timm and open_clip: half to even
};

/// The middle of the picture, padded with `fill` where it is smaller than the crop.
Image center_crop(const Image& image, int64_t height, int64_t width, Centre centre = Centre::kDown, Colour fill = {});

/// A square with the picture in its middle.
Image pad_to_square(const Image& image, Colour fill);

/// Per-channel x * scale and then (x - mean) / std, into planes (channels x height x width) of `stride` floats per row
/// and `plane` floats per channel, so that a picture can stand in the corner of a larger one.
struct Normalize {
  float scale = 1;
  std::array<float, 3> mean{0, 0, 0};
  std::array<float, 3> std{1, 1, 1};
};
/// @param image  RGB. Every float is computed as the references do: (byte - mean / scale) / (std / scale).
void normalize(const Image& image, const Normalize& how, float* out, int64_t stride, int64_t plane);

}  // namespace tessera
