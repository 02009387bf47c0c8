#pragma once
#include "io/image.h"

namespace tessera {

/// The frames of a GIF as they are shown on its canvas: RGB, or RGBA where a part of the canvas is transparent.
/// Uncovered canvas is transparent, as browsers show it. A frame that reaches over the canvas is clipped.
/// @param max_frames  stop after so many; 0: all of them, which together may have `options.max_pixels` pixels
/// @return at least one frame
/// @throws Error
std::vector<Image> decode_gif(Bytes bytes, const std::string& name, const DecodeOptions& options = {},
                              int64_t max_frames = 1);

}  // namespace tessera
