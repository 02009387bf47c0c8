#pragma once
#include "io/image.h"

namespace tessera {

/// The EXIF orientation tag, 1 to 8; 1 (upright) where it is absent or the block is malformed, as viewers do.
/// @param exif  an EXIF block: a TIFF header, with or without the "Exif\0\0" in front. Every read is bounded.
int exif_orientation(Bytes exif);

/// The picture upright, by EXIF orientation: 2 mirrored, 3 turned by 180 degrees, 4 flipped, 5 transposed,
/// 6 to be turned clockwise by 90 degrees, 7 transversed, 8 by 270 degrees; anything else is left as it is.
Image oriented(Image image, int orientation);

}  // namespace tessera
