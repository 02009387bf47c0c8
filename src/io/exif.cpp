#include "io/exif.h"

#include <cstring>

namespace tessera {
namespace {

// Bounded reads from a TIFF structure; what lies outside reads as 0, which no valid structure has where we look.
struct Tiff {
  Bytes bytes;
  bool big_endian = false;

  uint32_t read(size_t at, size_t size) const {
    if (at > bytes.size() || size > bytes.size() - at) return 0;
    uint32_t value = 0;
    for (size_t i = 0; i < size; ++i) {
      value |= static_cast<uint32_t>(bytes[at + i]) << (8 * (big_endian ? size - 1 - i : i));
    }
    return value;
  }
};

constexpr uint32_t kOrientationTag = 0x0112;
constexpr uint32_t kShort = 3;
constexpr uint32_t kLong = 4;

}  // namespace

int exif_orientation(Bytes exif) {
  if (exif.size() >= 6 && std::memcmp(exif.data(), "Exif\0\0", 6) == 0) exif = exif.subspan(6);
  if (exif.size() < 8) return 1;
  Tiff tiff{exif};
  if (exif[0] == 'M' && exif[1] == 'M') {
    tiff.big_endian = true;
  } else if (exif[0] != 'I' || exif[1] != 'I') {
    return 1;
  }
  if (tiff.read(2, 2) != 42) return 1;
  const size_t directory = tiff.read(4, 4);
  const size_t entries = tiff.read(directory, 2);
  for (size_t i = 0; i < entries; ++i) {
    const size_t entry = directory + 2 + 12 * i;
    if (entry + 12 > exif.size()) return 1;
    if (tiff.read(entry, 2) != kOrientationTag) continue;
    const uint32_t type = tiff.read(entry + 2, 2);
    if (tiff.read(entry + 4, 4) != 1 || (type != kShort && type != kLong)) return 1;
    const uint32_t value = tiff.read(entry + 8, type == kShort ? 2 : 4);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

Image oriented(Image image, int orientation) {
  if (orientation < 2 || orientation > 8) return image;
  const bool transposed = orientation >= 5;
  // Whether the source column and row run backwards as the target's matching axis runs forwards.
  const bool flip_x = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool flip_y = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  Image turned(transposed ? image.width : image.height, transposed ? image.height : image.width, image.channels);
  for (int64_t y = 0; y < turned.height; ++y) {
    uint8_t* out = turned.row(y);
    for (int64_t x = 0; x < turned.width; ++x, out += image.channels) {
      const int64_t column = transposed ? y : x;
      const int64_t line = transposed ? x : y;
      const uint8_t* in = image.row(flip_y ? image.height - 1 - line : line) +
                          (flip_x ? image.width - 1 - column : column) * image.channels;
      for (int64_t c = 0; c < image.channels; ++c) out[c] = in[c];
    }
  }
  return turned;
}

}  // namespace tessera
