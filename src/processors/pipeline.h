#pragma once
#include <vector>

#include "processors/options.h"

namespace tessera::detail {

/// The size that the rule of the options gives a picture of `height` x `width` before cropping.
Sides target_size(int64_t height, int64_t width, const ImageProcessorOptions& options);

/// The least size in which a picture of `height` x `width` may be handed to prepared() without that anything is resized
/// to more pixels than it has, which would not have been.
Sides needed_size(int64_t height, int64_t width, const ImageProcessorOptions& options);

/// One picture, RGB, padded, resized and cropped, as bytes: one, or the overview and its tiles for LLaVA-NeXT.
std::vector<Image> prepared(const Image& image, const ImageProcessorOptions& options);

/// Of the canvases (height, width) the one that keeps most of the picture's pixels, and among those wastes least.
Sides best_canvas(int64_t height, int64_t width, const std::vector<std::array<int64_t, 2>>& grid);

}  // namespace tessera::detail
