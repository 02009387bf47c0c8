#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace tessera {

/// A picture in memory: rows of pixels, each pixel its channels side by side (height x width x channels).
template <class T>
struct Raster {
  int64_t height = 0;
  int64_t width = 0;
  int64_t channels = 0;   ///< 1 grey, 3 RGB, 4 RGBA with straight (not premultiplied) alpha
  std::vector<T> pixels;  ///< height x width x channels

  Raster() = default;
  /// All zero: black, and transparent where there is alpha.
  Raster(int64_t rows, int64_t columns, int64_t depth)
      : height(rows),
        width(columns),
        channels(depth),
        pixels(static_cast<size_t>(rows) * static_cast<size_t>(columns) * static_cast<size_t>(depth)) {}

  T* row(int64_t y) { return pixels.data() + static_cast<size_t>(y * width * channels); }
  const T* row(int64_t y) const { return pixels.data() + static_cast<size_t>(y * width * channels); }
  T& at(int64_t y, int64_t x, int64_t c) { return row(y)[x * channels + c]; }
  T at(int64_t y, int64_t x, int64_t c) const { return row(y)[x * channels + c]; }
  bool empty() const { return pixels.empty(); }
  bool operator==(const Raster&) const = default;
};

using Image = Raster<uint8_t>;     ///< what files hold, 0 to 255
using FloatImage = Raster<float>;  ///< for augmentation; no range is implied

using Bytes = std::span<const uint8_t>;
using Colour = std::array<uint8_t, 3>;

enum class ImageType { kUnknown, kJpeg, kPng, kWebp, kGif, kSvg };

struct DecodeOptions {
  int64_t max_pixels = int64_t{1} << 28;  ///< of one picture, or of all frames together; refused before it is allocated
  bool orient = true;                     ///< turn the picture as its EXIF orientation says, as photo viewers do
  int64_t svg_height = 0;                 ///< SVG: the box to fill, aspect kept; 0 follows from the other,
  int64_t svg_width = 0;                  ///< both 0: the size that the drawing itself states
};

/// What the content (never the name) says that it is.
ImageType sniff_image(Bytes bytes);
const char* image_type_name(ImageType type);

/// Decodes JPEG, PNG, WebP, GIF (first frame of an animation) or SVG: grey, RGB or RGBA.
/// Colours equal PIL's, with two differences: 16-bit grey keeps its high byte (PIL clips), and grey with alpha is RGBA.
/// @param name  the file's name, for messages only
/// @throws Error for empty, unknown, truncated, corrupt or too large files
Image decode_image(Bytes bytes, const std::string& name, const DecodeOptions& options = {});

/// All frames of an animated GIF, each as it is shown; every other type gives its one picture.
std::vector<Image> decode_frames(Bytes bytes, const std::string& name, const DecodeOptions& options = {});

/// Reads and decodes a file. @throws Error, also where the file cannot be read
Image read_image(const std::string& path, const DecodeOptions& options = {});

/// A lossless PNG of a grey, RGB or RGBA picture. @throws Error for an empty picture
std::vector<uint8_t> encode_png(const Image& image);

/// Writes a PNG to a temporary name beside `path`, then renames it. @throws Error where that fails
void write_png(const Image& image, const std::string& path);

namespace detail {
/// The common check of every decoder, made on the header, before any pixel is allocated.
/// @throws Error where the size is not positive or has more than `options.max_pixels` pixels
void check_size(int64_t height, int64_t width, const std::string& name, const DecodeOptions& options);
}  // namespace detail

}  // namespace tessera
