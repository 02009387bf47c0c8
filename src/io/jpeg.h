#pragma once
#include <functional>

#include "io/image.h"

namespace tessera {

/// Baseline and progressive JPEG: grey or RGB (CMYK and YCCK converted as PIL does), with libjpeg-turbo's defaults
/// (accurate integer transform, smooth upsampling). A missing end marker is forgiven, missing picture data is not.
/// @throws Error
Image decode_jpeg(Bytes bytes, const std::string& name, const DecodeOptions& options = {});

/// Height and width of a picture.
struct PictureSize {
  int64_t height = 0, width = 0;
};

/// The same in less time and not equal to the bit: with libjpeg-turbo's fast transform and plain upsampling, and at a
/// half, a fourth or an eighth of the size, in which case most of the transform and the colours is never computed.
/// @param needed  given the size of the upright picture, that which it must not fall below
/// @throws Error as decode_jpeg() does
Image decode_jpeg_fast(Bytes bytes, const std::string& name, const DecodeOptions& options,
                       const std::function<PictureSize(PictureSize)>& needed);

}  // namespace tessera
