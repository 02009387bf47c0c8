#pragma once
#include "io/image.h"

namespace tessera {

/// WebP, lossy or lossless, or the first frame of an animation: RGB or RGBA. @throws Error
Image decode_webp(Bytes bytes, const std::string& name, const DecodeOptions& options = {});

}  // namespace tessera
