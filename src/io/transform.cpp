#include "io/transform.h"

#include <algorithm>
#include <cstring>

#include "core/error.h"
#include "io/resize_part.h"

namespace tessera {
namespace {

// Half to even for odd differences, as Python's round does.
int64_t half_of(int64_t difference, Centre centre) {
  const int64_t down = difference / 2;
  return centre == Centre::kEven && difference % 2 != 0 && down % 2 != 0 ? down + 1 : down;
}

}  // namespace

Image convert_rgb(Image image) {
  if (image.channels == 3) return image;
  if (image.channels != 1 && image.channels != 4) {
    throw Error("a picture has 1, 3 or 4 channels, not " + std::to_string(image.channels), "convert_rgb");
  }
  Image rgb(image.height, image.width, 3);
  const uint8_t* in = image.pixels.data();
  const int64_t green = image.channels == 1 ? 0 : 1, blue = image.channels == 1 ? 0 : 2;
  for (uint8_t *out = rgb.pixels.data(), *end = out + rgb.pixels.size(); out != end; out += 3, in += image.channels) {
    out[0] = in[0], out[1] = in[green], out[2] = in[blue];
  }
  return rgb;
}

Image composite(const Image& image, Colour background) {
  if (image.channels != 4) return convert_rgb(image);
  Image rgb(image.height, image.width, 3);
  const uint8_t* in = image.pixels.data();
  for (uint8_t *out = rgb.pixels.data(), *end = out + rgb.pixels.size(); out != end; out += 3, in += 4) {
    for (size_t c = 0; c < 3; ++c) {
      out[c] = static_cast<uint8_t>((in[c] * in[3] + background[c] * (255 - in[3]) + 127) / 255);
    }
  }
  return rgb;
}

Image window(const Image& image, int64_t top, int64_t left, int64_t height, int64_t width, Colour fill) {
  if (height <= 0 || width <= 0) throw Error("the size must be positive", "window");
  Image out(height, width, image.channels);
  const int64_t first = std::clamp<int64_t>(-left, 0, width), last = std::clamp<int64_t>(image.width - left, 0, width);
  const auto paint = [&](uint8_t* row, int64_t from, int64_t to) {
    for (int64_t x = from; x < to; ++x) {
      for (int64_t c = 0; c < image.channels; ++c) {
        row[x * image.channels + c] = c < 3 ? fill[static_cast<size_t>(c)] : uint8_t{255};
      }
    }
  };
  for (int64_t y = 0; y < height; ++y) {
    const bool inside = top + y >= 0 && top + y < image.height && last > first;
    paint(out.row(y), 0, inside ? first : width);
    if (!inside) continue;
    std::memcpy(out.row(y) + first * image.channels, image.row(top + y) + (left + first) * image.channels,
                static_cast<size_t>((last - first) * image.channels));
    paint(out.row(y), last, width);
  }
  return out;
}

Part middle_of(int64_t height, int64_t width, int64_t crop_height, int64_t crop_width, Centre centre) {
  const auto start = [centre](int64_t have, int64_t want) {
    return have >= want ? half_of(have - want, centre) : -((want - have) / 2);
  };
  return {start(height, crop_height), start(width, crop_width), crop_height, crop_width};
}

Image center_crop(const Image& image, int64_t height, int64_t width, Centre centre, Colour fill) {
  const Part middle = middle_of(image.height, image.width, height, width, centre);
  return window(image, middle.top, middle.left, height, width, fill);
}

Image pad_to_square(const Image& image, Colour fill) {
  const int64_t side = std::max(image.height, image.width);
  if (image.height == image.width) return image;
  return window(image, -((side - image.height) / 2), -((side - image.width) / 2), side, side, fill);
}

void normalize(const Image& image, const Normalize& how, float* out, int64_t stride, int64_t plane) {
  if (image.channels != 3) throw Error("an RGB picture is needed", "normalize", "convert_rgb it first");
  for (int64_t c = 0; c < 3; ++c) {
    const size_t channel = static_cast<size_t>(c);
    const float inverse = static_cast<float>(1.0 / static_cast<double>(how.scale));
    const float mean = how.mean[channel] * inverse, deviation = how.std[channel] * inverse;
    std::array<float, 256> level;  // a byte has few values, so that each is computed once
    for (size_t i = 0; i < 256; ++i) level[i] = (static_cast<float>(i) - mean) / deviation;
    for (int64_t y = 0; y < image.height; ++y) {
      const uint8_t* in = image.row(y) + c;
      float* row = out + c * plane + y * stride;
      for (int64_t x = 0; x < image.width; ++x) row[x] = level[in[3 * x]];
    }
  }
}

}  // namespace tessera
