#include "train/augment.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <numbers>

#include "core/error.h"
#include "io/resize.h"
#include "train/warp.h"

namespace tessera {
namespace {

using Colour3 = std::array<float, 3>;

/// colour' = matrix colour + offset alpha, for premultiplied colours.
struct ColourMap {
  float matrix[3][3];
  float offset;
};

ColourMap draw_colours(const AugmentOptions& o, bool any_colour, Random& random) {
  // Luminance and two chroma axes, as NTSC's YIQ: hue is a rotation of the chroma plane, saturation its scale.
  static constexpr double kTo[3][3] = {{.299, .587, .114}, {.596, -.274, -.322}, {.211, -.523, .312}};
  static constexpr double kFrom[3][3] = {{1, .956, .621}, {1, -.272, -.647}, {1, -1.106, 1.703}};
  const bool any = random.chance(o.any_hue);
  double hue = random.uniform(-1, 1) * std::numbers::pi * (any ? 1 : o.hue);
  double saturation = std::exp(random.uniform(std::log(o.saturation_min), std::log(o.saturation_max)));
  if (random.chance(o.grayscale) && any_colour) saturation = 0;
  if (!any_colour) hue = 0;
  const double c = std::cos(hue) * saturation, s = std::sin(hue) * saturation;
  const double turn[3][3] = {{1, 0, 0}, {0, c, -s}, {0, s, c}};
  const double brightness = 1 + random.uniform(-1, 1) * o.brightness;
  const double contrast = std::exp(random.uniform(-1, 1) * o.contrast);
  const double gains[3] = {random.uniform(-1, 1), random.uniform(-1, 1), random.uniform(-1, 1)};
  double shift = (1 - contrast) * 0.5 + random.uniform(-1, 1) * o.offset;
  double sign = 1;
  if (random.chance(o.invert) && any_colour) sign = -1, shift = 1 - shift;
  std::vector<int64_t> places = {0, 1, 2};
  if (random.chance(o.permute) && any_colour) places = random.permutation(3);

  ColourMap map{};
  for (int i = 0; i < 3; ++i) {
    const double gain = sign * contrast * brightness * (1 + gains[i] * o.gain);
    for (int j = 0; j < 3; ++j) {
      double sum = 0;
      for (int a = 0; a < 3; ++a)
        for (int b = 0; b < 3; ++b) sum += kFrom[i][a] * turn[a][b] * kTo[b][j];
      map.matrix[places[static_cast<size_t>(i)]][j] = static_cast<float>(gain * sum);
    }
  }
  map.offset = static_cast<float>(shift);
  return map;
}

/// Dark lines where colour or coverage change: one minus the length of the gradient of the covered luminance.
void keep_outline(std::vector<float>& rgba, int64_t size) {
  std::vector<float> level(static_cast<size_t>(size * size));
  for (size_t i = 0; i < level.size(); ++i) {
    const float* p = &rgba[4 * i];
    level[i] = 0.299F * p[0] + 0.587F * p[1] + 0.114F * p[2] + 0.5F * (1 - p[3]);
  }
  auto at = [&](int64_t y, int64_t x) {
    return level[static_cast<size_t>(std::clamp<int64_t>(y, 0, size - 1) * size + std::clamp<int64_t>(x, 0, size - 1))];
  };
  for (int64_t y = 0; y < size; ++y) {
    for (int64_t x = 0; x < size; ++x) {
      const float dy = at(y + 1, x) - at(y - 1, x), dx = at(y, x + 1) - at(y, x - 1);
      float* p = &rgba[static_cast<size_t>(4 * (y * size + x))];
      p[3] = std::min(1.0F, 3 * std::sqrt(dx * dx + dy * dy));
      p[0] = p[1] = p[2] = 0;
    }
  }
}

/// Applies the colour map, flattens to `levels` where that is not 0, and puts the picture over the background.
void colour_and_compose(const std::vector<float>& rgba, const ColourMap& map, float levels, const Colour3& background,
                        int64_t count, float* planes) {
  for (int64_t i = 0; i < count; ++i) {
    const float* p = &rgba[static_cast<size_t>(4 * i)];
    for (int c = 0; c < 3; ++c) {
      float value = map.matrix[c][0] * p[0] + map.matrix[c][1] * p[1] + map.matrix[c][2] * p[2] + map.offset * p[3];
      if (levels > 0) value = std::nearbyint(value * levels) / levels;
      value = std::min(std::max(value, 0.0F), p[3]);
      const float shows = std::max(1 - p[3], 0.0F);  // interpolation may overshoot one by a rounding
      planes[c * count + i] = value + shows * background[static_cast<size_t>(c)];
    }
  }
}

void blur_plane(float* plane, int64_t size) {
  std::vector<float> lines(static_cast<size_t>(size * size));  // means of three along each row
  for (int64_t y = 0; y < size; ++y) {
    const float* in = plane + y * size;
    for (int64_t x = 0; x < size; ++x)
      lines[static_cast<size_t>(y * size + x)] =
          (in[std::max<int64_t>(x - 1, 0)] + in[x] + in[std::min(x + 1, size - 1)]) / 3;
  }
  for (int64_t y = 0; y < size; ++y) {
    const float* above = &lines[static_cast<size_t>(std::max<int64_t>(y - 1, 0) * size)];
    const float* here = &lines[static_cast<size_t>(y * size)];
    const float* below = &lines[static_cast<size_t>(std::min(y + 1, size - 1) * size)];
    for (int64_t x = 0; x < size; ++x) plane[y * size + x] = (above[x] + here[x] + below[x]) / 3;
  }
}

Colour3 any_colour(Random& random) {
  Colour3 colour{};
  for (auto& channel : colour) channel = static_cast<float>(random.uniform());
  return colour;
}

void cut_out(const AugmentOptions& o, const Colour3& background, Random& random, int64_t size, float* planes) {
  const auto side = static_cast<double>(size);
  const double width = random.uniform(o.cutout_min, o.cutout_max) * side;
  const double height = random.uniform(o.cutout_min, o.cutout_max) * side;
  const double x = random.uniform() * side, y = random.uniform() * side;
  const Colour3 other = any_colour(random);
  const Colour3 colour = random.chance(0.5) ? background : other;
  auto edge = [&](double at) { return static_cast<int64_t>(std::clamp(at, 0.0, side)); };
  for (int64_t c = 0; c < 3; ++c)
    for (int64_t row = edge(y - height / 2); row < edge(y + height / 2); ++row)
      std::fill(planes + (c * size + row) * size + edge(x - width / 2),
                planes + (c * size + row) * size + edge(x + width / 2), colour[static_cast<size_t>(c)]);
}

Colour3 to_colour(const std::vector<double>& values) {
  return {static_cast<float>(values.at(0)), static_cast<float>(values.at(1)), static_cast<float>(values.at(2))};
}

}  // namespace

void check_augment(const AugmentOptions& o, const std::string& where) {
  const std::pair<const char*, double> chances[] = {{"large_rotation", o.large_rotation},
                                                    {"flip", o.flip},
                                                    {"any_hue", o.any_hue},
                                                    {"grayscale", o.grayscale},
                                                    {"invert", o.invert},
                                                    {"permute", o.permute},
                                                    {"posterise", o.posterise},
                                                    {"background", o.background},
                                                    {"outline", o.outline},
                                                    {"blur", o.blur},
                                                    {"cutout", o.cutout}};
  for (const auto& [name, value] : chances)
    if (value < 0 || value > 1) throw Error("is a probability, from 0 to 1", where + "." + name);
  if (!(o.scale_min > 0 && o.scale_min <= o.scale_max)) throw Error("the range is empty", where + ".scale_min");
  if (!(o.saturation_min > 0 && o.saturation_min <= o.saturation_max))
    throw Error("the range is empty", where + ".saturation_min");
  if (!(o.cutout_min >= 0 && o.cutout_min <= o.cutout_max)) throw Error("the range is empty", where + ".cutout_min");
  if (o.perspective < 0 || o.perspective > 0.4) throw Error("must lie in [0, 0.4]", where + ".perspective");
  if (o.background_colour.size() != 3) throw Error("a colour has three channels", where + ".background_colour");
}

AugmentOptions in_true_colours(AugmentOptions options) {
  for (double* amount : {&options.hue, &options.any_hue, &options.grayscale, &options.brightness, &options.gain,
                         &options.contrast, &options.offset, &options.invert, &options.permute, &options.posterise,
                         &options.background, &options.outline, &options.cutout, &options.noise})
    *amount = 0;
  options.saturation_min = options.saturation_max = 1;
  return options;
}

AugmentOptions between(const AugmentOptions& start, const AugmentOptions& end, double amount) {
  if (amount >= 1) return end;
  std::vector<double> values;  // of start, in the order of the fields
  auto note = [&]<class T>(const char*, const T& value) {
    if constexpr (std::is_same_v<T, double>) values.push_back(value);
  };
  visit_options(start, note);
  AugmentOptions result = end;
  size_t next = 0;
  auto blend = [&]<class T>(const char*, T& value) {
    if constexpr (std::is_same_v<T, double>) value = (1 - amount) * values[next++] + amount * value;
  };
  visit_options(result, blend);
  return result;
}

void augment(const Image& premultiplied, const AugmentOptions& o, const Symmetry& symmetry, Random& random,
             int64_t size, float* planes) {
  const int64_t count = size * size;
  std::vector<float> rgba(static_cast<size_t>(count) * 4);
  apply_warp(premultiplied, draw_warp(o, symmetry.mirror, random), size, rgba.data());
  const ColourMap colours = draw_colours(o, symmetry.colour, random);
  const float levels = random.chance(o.posterise) ? static_cast<float>(2 + random.below(4)) : 0;
  const Colour3 drawn = any_colour(random);
  const Colour3 background = random.chance(o.background) ? drawn : to_colour(o.background_colour);
  if (random.chance(o.outline)) keep_outline(rgba, size);
  colour_and_compose(rgba, colours, levels, background, count, planes);
  if (random.chance(o.blur))
    for (int64_t c = 0; c < 3; ++c) blur_plane(planes + c * count, size);
  if (random.chance(o.cutout)) cut_out(o, background, random, size, planes);
  if (o.noise > 0) {
    const double deviation = random.uniform() * o.noise;
    for (int64_t i = 0; i < 3 * count; ++i) planes[i] += static_cast<float>(deviation * random.normal());
  }
}

void plain_view(const Image& premultiplied, const std::vector<double>& background, int64_t size, float* planes) {
  Image flat(premultiplied.height, premultiplied.width, 3);
  const size_t pixels = static_cast<size_t>(flat.height * flat.width);
  for (size_t i = 0; i < pixels; ++i) {
    const uint8_t* in = premultiplied.pixels.data() + 4 * i;
    for (size_t c = 0; c < 3; ++c)
      flat.pixels[3 * i + c] = static_cast<uint8_t>(std::lround(in[c] + (255 - in[3]) * background.at(c)));
  }
  const Image view = resize(flat, size, size, Filter::kBicubic);
  const int64_t count = size * size;
  for (int64_t i = 0; i < count; ++i)
    for (int64_t c = 0; c < 3; ++c)
      planes[c * count + i] = static_cast<float>(view.pixels[static_cast<size_t>(3 * i + c)]) / 255.0F;
}

Symmetry symmetry_of(const std::string& english_name, const AugmentOptions& options) {
  std::string name = " ";
  for (const char c : english_name) {
    const auto byte = static_cast<unsigned char>(c);
    name += std::isalnum(byte) != 0 ? static_cast<char>(std::tolower(byte)) : ' ';
  }
  auto names_any = [&](const std::string& words) {  // a word of the list begins a word of the name
    for (size_t begin = 0; begin < words.size();) {
      const size_t end = std::min(words.find('|', begin), words.size());
      if (end > begin && name.find(" " + words.substr(begin, end - begin)) != std::string::npos) return true;
      begin = end + 1;
    }
    return false;
  };
  return {!names_any(options.no_flip), !names_any(options.keep_colour)};
}

}  // namespace tessera
