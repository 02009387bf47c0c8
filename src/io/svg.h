#pragma once
#include "io/image.h"

namespace tessera {

/// Draws an SVG on a transparent background, RGBA, as large as fits `options.svg_height` x `svg_width` with its aspect
/// kept. Nothing outside of the file is loaded: no other files, no network; entities are bounded by librsvg.
/// @throws Error, also for a drawing of more than 32 MiB
Image decode_svg(Bytes bytes, const std::string& name, const DecodeOptions& options = {});

}  // namespace tessera
