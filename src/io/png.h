#pragma once
#include "io/image.h"

namespace tessera {

/// PNG of every colour type and depth, interlaced or not: grey, RGB or RGBA (where there is alpha or a transparent
/// colour). 16-bit samples keep their high byte; gamma and colour profiles are not applied (both as PIL does).
/// @throws Error
Image decode_png(Bytes bytes, const std::string& name, const DecodeOptions& options = {});

}  // namespace tessera
