#include "data/colours.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace tessera {
namespace {

constexpr double kBend = 0.8;  // logarithm of the strongest power

enum Term { kRed, kOrange, kYellow, kGreen, kBlue, kPurple, kPink, kBrown, kBlack, kWhite, kGrey };

/// Degrees from red, for a pixel that is not grey.
double hue(double red, double green, double blue, double most, double spread) {
  double turn = 0;
  if (most == red)
    turn = (green - blue) / spread;
  else if (most == green)
    turn = 2 + (blue - red) / spread;
  else
    turn = 4 + (red - green) / spread;
  return turn < 0 ? 60 * turn + 360 : 60 * turn;
}

Term nearest(double red, double green, double blue) {
  const double most = std::max({red, green, blue}), spread = most - std::min({red, green, blue});
  const double saturation = most > 0 ? spread / most : 0;
  if (most < 0.22) return kBlack;
  if (saturation < 0.12) return most > 0.85 ? kWhite : most < 0.35 ? kBlack : kGrey;
  if (saturation < 0.3 && most < 0.75) return kGrey;  // slate, the outline of many sets
  const double degrees = hue(red, green, blue, most, spread);
  if (degrees < 14 || degrees >= 345) return saturation < 0.5 && most > 0.75 ? kPink : most < 0.5 ? kBrown : kRed;
  if (degrees < 42) return most < 0.68 ? kBrown : kOrange;
  if (degrees < 68) return most < 0.5 ? kBrown : kYellow;
  if (degrees < 165) return kGreen;
  if (degrees < 255) return kBlue;
  if (degrees < 292) return kPurple;
  return most < 0.6 ? kPurple : kPink;
}

}  // namespace

const std::vector<std::string>& colour_names() {
  static const std::vector<std::string> names = {"red",  "orange", "yellow", "green", "blue", "purple",
                                                 "pink", "brown",  "black",  "white", "grey"};
  return names;
}

const std::string& colour_of(uint8_t red, uint8_t green, uint8_t blue) {
  return colour_names()[nearest(red / 255.0, green / 255.0, blue / 255.0)];
}

std::optional<std::string> main_colour(const Image& image, double share) {
  std::vector<int64_t> counts(colour_names().size(), 0);
  int64_t drawn = 0;
  for (size_t i = 0; i + 3 < image.pixels.size(); i += 4) {
    const double alpha = image.pixels[i + 3];
    if (alpha < 128) continue;
    ++drawn;
    ++counts[nearest(image.pixels[i] / alpha, image.pixels[i + 1] / alpha, image.pixels[i + 2] / alpha)];
  }
  const auto most = std::max_element(counts.begin(), counts.end());
  if (drawn == 0 || static_cast<double>(*most) < share * static_cast<double>(drawn)) return {};
  return colour_names()[static_cast<size_t>(most - counts.begin())];
}

Image recoloured(const Image& image, Random& random) {
  const double turn = random.uniform() * 360;
  const double saturation_power = std::exp(random.uniform(-kBend, kBend));
  const double value_power = std::exp(random.uniform(-kBend, kBend));
  Image result = image;
  for (size_t i = 0; i + 3 < image.pixels.size(); i += 4) {
    const double alpha = image.pixels[i + 3];
    if (alpha == 0) continue;
    const double red = image.pixels[i] / alpha, green = image.pixels[i + 1] / alpha, blue = image.pixels[i + 2] / alpha;
    const double most = std::max({red, green, blue}), spread = most - std::min({red, green, blue});
    const double value = std::pow(most, value_power);
    const double chroma = spread > 0 ? value * std::pow(spread / most, saturation_power) : 0;
    const double sixth = spread > 0 ? std::fmod(hue(red, green, blue, most, spread) + turn, 360) / 60 : 0;
    for (size_t c = 0; c < 3; ++c) {  // the channels rise and fall a third of a turn apart
      const double at = std::fmod(sixth + (c == 0 ? 5 : c == 1 ? 3 : 1), 6);
      const double level = value - chroma * std::clamp(std::min(at, 4 - at), 0.0, 1.0);
      result.pixels[i + c] = static_cast<uint8_t>(std::lround(std::clamp(level, 0.0, 1.0) * alpha));
    }
  }
  return result;
}

}  // namespace tessera
