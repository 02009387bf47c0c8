#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "io/image.h"

namespace tessera::testing {

using ByteVector = std::vector<uint8_t>;

/// A picture without symmetry and with soft edges, the same every time.
Image sample_picture(int64_t height, int64_t width, int64_t channels);

/// An EXIF block (a TIFF header and one tag).
ByteVector exif_block(int orientation, bool big_endian = false);

struct JpegForm {
  int quality = 95;
  bool progressive = false;
  bool ycck = false;  ///< four channels, which are CMYK, stored as YCCK
  int orientation = 0;
};
ByteVector sample_jpeg(const Image& image, const JpegForm& form = {});

struct PngForm {
  int depth = 8;
  bool palette = false;  ///< grey samples become indices into a palette of (i, 255 - i, i / 2)
  bool interlaced = false;
  bool transparency = false;  ///< palette entry 0, or the colour of the first pixel
  int orientation = 0;
};
/// Channels: 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA; at 16 bits every sample is its byte and then 0x7F.
ByteVector sample_png(const Image& image, const PngForm& form = {});

ByteVector sample_webp(const Image& image, bool lossless = true);
/// The container with an EXIF chunk.
ByteVector sample_webp_with_exif(const Image& image, int orientation);
/// An animation of lossless full-canvas frames.
ByteVector sample_webp_animation(const std::vector<Image>& frames);

struct GifFrame {
  Image indices;  ///< one channel
  int64_t top = 0, left = 0;
  int transparent = -1;
  int disposal = 0;
  bool interlaced = false;
};
/// The colour table has 256 entries (i, 255 - i, i / 2).
ByteVector sample_gif(int64_t height, int64_t width, const std::vector<GifFrame>& frames);

/// One small file of every type and form, by name.
std::vector<std::pair<std::string, ByteVector>> all_samples();

}  // namespace tessera::testing
