#include "processors/pipeline.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "io/resize_part.h"

namespace tessera::detail {
namespace {

// ViLT's bound on the aspect, from the pictures of COCO.
constexpr double kMaxAspect = 1333.0 / 800;
// From this size on ConvNeXt squeezes the picture instead of cropping it.
constexpr int64_t kSqueezeFrom = 384;

int64_t truncated(double value) { return std::max<int64_t>(1, static_cast<int64_t>(value)); }

Sides by_shortest(int64_t height, int64_t width, int64_t side) {
  const int64_t longer = side * std::max(height, width) / std::min(height, width);
  return height <= width ? Sides{side, longer} : Sides{longer, side};
}

// With a bound on the longer side, the shorter gives way, and rounding follows the reference.
Sides by_both(int64_t height, int64_t width, int64_t shortest, int64_t longest) {
  const double shorter = static_cast<double>(std::min(height, width));
  const double longer = static_cast<double>(std::max(height, width));
  double raw = static_cast<double>(shortest);
  if (longer / shorter * raw > static_cast<double>(longest)) raw = static_cast<double>(longest) * shorter / longer;
  const int64_t side = std::max<int64_t>(1, std::llrint(raw));
  if (std::min(height, width) == side) return {height, width};
  const int64_t other = truncated(raw * longer / shorter);
  return height <= width ? Sides{side, other} : Sides{other, side};
}

Sides divisible(int64_t height, int64_t width, const ImageProcessorOptions& options) {
  const double shorter = static_cast<double>(options.shortest_edge);
  const double longest = std::floor(kMaxAspect * shorter);
  const double h = static_cast<double>(height), w = static_cast<double>(width);
  double new_height = height < width ? shorter : h * (shorter / w);
  double new_width = height < width ? w * (shorter / h) : shorter;
  if (const double longer = std::max(new_height, new_width); longer > longest) {
    new_height *= longest / longer;
    new_width *= longest / longer;
  }
  const auto whole = [&](double side) {
    const auto rounded = static_cast<int64_t>(side + 0.5);
    return rounded / options.size_divisor * options.size_divisor;
  };
  const Sides sides{whole(new_height), whole(new_width)};
  if (sides.height == 0 || sides.width == 0) {
    throw Error("a picture of " + std::to_string(width) + " x " + std::to_string(height) + " becomes thinner than " +
                    std::to_string(options.size_divisor) + " pixels",
                "size_divisor", "crop the picture to a less extreme shape");
  }
  return sides;
}

Sides between(int64_t height, int64_t width, const ImageProcessorOptions& options) {
  const double aspect = static_cast<double>(width) / static_cast<double>(height);
  const int64_t longest = options.longest_edge;
  if (longest > 0 && width >= height && width > longest)
    width = longest, height = static_cast<int64_t>(static_cast<double>(longest) / aspect);
  else if (longest > 0 && height > width && height > longest)
    height = longest, width = static_cast<int64_t>(static_cast<double>(longest) * aspect);
  return {std::max(height, options.shortest_edge), std::max(width, options.shortest_edge)};
}

Sides fit(int64_t height, int64_t width, const ImageProcessorOptions& options) {
  const double ratio = std::max(static_cast<double>(height) / static_cast<double>(options.height),
                                static_cast<double>(width) / static_cast<double>(options.width));
  const auto side = [ratio](int64_t from) {
    return std::max<int64_t>(1, std::llrint(static_cast<double>(from) / ratio));
  };
  return {side(height), side(width)};
}

// The largest size of the picture's aspect on a canvas; the side that does not fill it is rounded up.
Sides on_canvas(int64_t height, int64_t width, Sides canvas) {
  const double by_width = static_cast<double>(canvas.width) / static_cast<double>(width);
  const double by_height = static_cast<double>(canvas.height) / static_cast<double>(height);
  if (by_width < by_height) {
    const auto rows = static_cast<int64_t>(std::ceil(static_cast<double>(height) * by_width));
    return {std::clamp<int64_t>(rows, 1, canvas.height), canvas.width};
  }
  const auto columns = static_cast<int64_t>(std::ceil(static_cast<double>(width) * by_height));
  return {canvas.height, std::clamp<int64_t>(columns, 1, canvas.width)};
}

// A thin picture scaled to a shortest edge may get any length; what no memory holds is refused.
void check_pixels(const Image& image, Sides sides) {
  constexpr int64_t kMaxPixels = int64_t{1} << 28;
  if (sides.width > kMaxPixels / sides.height) {
    throw Error("a picture of " + std::to_string(image.width) + " x " + std::to_string(image.height) +
                    " would have more than 2^28 pixels after resizing",
                "resize", "crop it to a less extreme shape");
  }
}

Image resized(const Image& image, Sides sides, const ImageProcessorOptions& options) {
  check_pixels(image, sides);
  return resize(image, sides.height, sides.width, options.filter, options.arithmetic);
}

// The middle alone where the picture is larger than that; else all of it.
Image resized_middle(const Image& image, Sides sides, Sides kept, const ImageProcessorOptions& options) {
  if (kept.height > sides.height || kept.width > sides.width) return resized(image, sides, options);
  check_pixels(image, sides);
  const Part middle = middle_of(sides.height, sides.width, kept.height, kept.width, options.centre);
  return resize_part(image, sides.height, sides.width, middle, options.filter, options.arithmetic);
}

// Only the middle of a resized picture is kept, by the family's own rule and by the crop.
Image resized_and_cropped(Image image, const ImageProcessorOptions& options) {
  const bool by_percent =
      options.resize && options.size_rule == SizeRule::kCropPercent && options.shortest_edge < kSqueezeFrom;
  const Sides square{options.shortest_edge, options.shortest_edge}, crop{options.crop_height, options.crop_width};
  if (options.resize) {
    const Sides sides = target_size(image.height, image.width, options);
    image = by_percent || options.crop ? resized_middle(image, sides, by_percent ? square : crop, options)
                                       : resized(image, sides, options);
  }
  if (by_percent) image = center_crop(image, square.height, square.width, options.centre);
  if (options.crop) image = center_crop(image, crop.height, crop.width, options.centre, options.fill);
  return image;
}

std::vector<Image> quarters_of(const Image& image, const ImageProcessorOptions& options) {
  const int64_t row = image.height / 2, column = image.width / 2;
  if (row == 0 || column == 0) throw Error("a picture of one row or column has no quarters", "do_image_splitting");
  std::vector<Image> quarters;
  for (const auto& [top, bottom] : {std::pair{int64_t{0}, row}, {row, image.height}})
    for (const auto& [left, right] : {std::pair{int64_t{0}, column}, {column, image.width}})
      quarters.push_back(resized_and_cropped(window(image, top, left, bottom - top, right - left), options));
  return quarters;
}

std::vector<Image> tiles_of(const Image& image, const ImageProcessorOptions& options) {
  const Sides canvas = best_canvas(image.height, image.width, options.grid);
  const Image scaled = resized(image, on_canvas(image.height, image.width, canvas), options);
  const Image padded = window(scaled, -((canvas.height - scaled.height) / 2), -((canvas.width - scaled.width) / 2),
                              canvas.height, canvas.width);
  const bool square = options.size_rule == SizeRule::kShortestEdge;
  const Sides overview{square ? options.shortest_edge : options.height, square ? options.shortest_edge : options.width};
  std::vector<Image> tiles{resized_and_cropped(resized(image, overview, options), options)};
  // A canvas that is no multiple of the tile has smaller tiles at its edge, which are scaled up like any other.
  const int64_t side = options.crop_height;
  for (int64_t y = 0; y < canvas.height; y += side) {
    for (int64_t x = 0; x < canvas.width; x += side) {
      const Image tile = window(padded, y, x, std::min(side, canvas.height - y), std::min(side, canvas.width - x));
      tiles.push_back(resized_and_cropped(tile, options));
    }
  }
  return tiles;
}

}  // namespace

Sides best_canvas(int64_t height, int64_t width, const std::vector<std::array<int64_t, 2>>& grid) {
  Sides best{};
  int64_t most = -1, least_waste = 0;
  for (const auto& [rows, columns] : grid) {
    const double scale = std::min(static_cast<double>(columns) / static_cast<double>(width),
                                  static_cast<double>(rows) / static_cast<double>(height));
    const auto scaled_width = static_cast<int64_t>(static_cast<double>(width) * scale);
    const auto scaled_height = static_cast<int64_t>(static_cast<double>(height) * scale);
    const int64_t kept = std::min(scaled_width * scaled_height, width * height);
    const int64_t waste = rows * columns - kept;
    if (kept > most || (kept == most && waste < least_waste)) {
      best = {rows, columns};
      most = kept, least_waste = waste;
    }
  }
  return best;
}

Sides target_size(int64_t height, int64_t width, const ImageProcessorOptions& options) {
  switch (options.size_rule) {
    case SizeRule::kExact:
      return {options.height, options.width};
    case SizeRule::kFit:
      return fit(height, width, options);
    case SizeRule::kBetween:
      return between(height, width, options);
    case SizeRule::kDivisible:
      return divisible(height, width, options);
    case SizeRule::kCropPercent:
      if (options.shortest_edge >= kSqueezeFrom) return {options.shortest_edge, options.shortest_edge};
      return by_shortest(height, width, truncated(static_cast<double>(options.shortest_edge) / options.crop_pct));
    case SizeRule::kShortestEdge:
      break;
  }
  if (options.longest_edge > 0) return by_both(height, width, options.shortest_edge, options.longest_edge);
  return by_shortest(height, width, options.shortest_edge);
}

Sides needed_size(int64_t height, int64_t width, const ImageProcessorOptions& options) {
  if (!options.resize) return {height, width};
  if (!options.grid.empty()) return on_canvas(height, width, best_canvas(height, width, options.grid));
  if (options.quarters) {  // each is resized by itself
    const Sides quarter = target_size((height + 1) / 2, (width + 1) / 2, options);
    return {2 * quarter.height, 2 * quarter.width};
  }
  if (options.padding != PaddingRule::kSquare) return target_size(height, width, options);
  const int64_t side = std::max(height, width);  // the square is resized, and the picture with it
  const Sides square = target_size(side, side, options);
  const auto scaled = [side](int64_t extent, int64_t target) { return (extent * target + side - 1) / side; };
  return {scaled(height, square.height), scaled(width, square.width)};
}

std::vector<Image> prepared(const Image& image, const ImageProcessorOptions& options) {
  Image rgb = convert_rgb(image);
  if (options.padding == PaddingRule::kSquare) {
    Colour mean;
    for (size_t c = 0; c < 3; ++c) mean[c] = static_cast<uint8_t>(std::clamp(options.mean[c] * 255, 0.0, 255.0));
    rgb = pad_to_square(rgb, mean);
  }
  if (!options.grid.empty()) return tiles_of(rgb, options);
  std::vector<Image> pictures;
  if (options.quarters) pictures = quarters_of(rgb, options);
  pictures.push_back(resized_and_cropped(std::move(rgb), options));
  return pictures;
}

}  // namespace tessera::detail
