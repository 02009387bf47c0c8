#pragma once
#include "io/image.h"

namespace tessera {

/// Baseline and progressive JPEG: grey or RGB (CMYK and YCCK converted as PIL does), with libjpeg-turbo's defaults
/// (accurate integer transform, smooth upsampling). A missing end marker is forgiven, missing picture data is not.
/// @throws Error
Image decode_jpeg(Bytes bytes, const std::string& name, const DecodeOptions& options = {});

}  // namespace tessera
