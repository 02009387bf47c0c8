#include "train/warp.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

namespace tessera {
namespace {

constexpr int64_t kField = 4;  // points of the elastic field along a side

/// Weights of the four points of a line of the field at each of `size` places (Catmull-Rom, ends repeated).
std::vector<std::array<float, kField>> field_weights(int64_t size) {
  std::vector<std::array<float, kField>> weights(static_cast<size_t>(size), std::array<float, kField>{});
  for (int64_t i = 0; i < size; ++i) {
    const double at = static_cast<double>(i) * (kField - 1) / static_cast<double>(std::max<int64_t>(size - 1, 1));
    const auto first = std::min<int64_t>(static_cast<int64_t>(at), kField - 2);
    const double t = at - static_cast<double>(first);
    const double cubic[4] = {((-0.5 * t + 1) * t - 0.5) * t, (1.5 * t - 2.5) * t * t + 1,
                             ((-1.5 * t + 2) * t + 0.5) * t, (0.5 * t - 0.5) * t * t};
    for (int64_t k = 0; k < 4; ++k) {
      const auto point = static_cast<size_t>(std::clamp<int64_t>(first + k - 1, 0, kField - 1));
      weights[static_cast<size_t>(i)][point] += static_cast<float>(cubic[k]);
    }
  }
  return weights;
}

/// The displacements of one row, size x 2.
void field_row(const std::vector<float>& field, const std::vector<std::array<float, kField>>& weights, int64_t y,
               std::vector<float>& row) {
  std::array<float, kField * 2> line{};
  for (size_t k = 0; k < kField; ++k)
    for (size_t i = 0; i < kField * 2; ++i) line[i] += weights[static_cast<size_t>(y)][k] * field[k * kField * 2 + i];
  for (size_t x = 0; x < weights.size(); ++x) {
    float dx = 0, dy = 0;
    for (size_t k = 0; k < kField; ++k) dx += weights[x][k] * line[2 * k], dy += weights[x][k] * line[2 * k + 1];
    row[2 * x] = dx, row[2 * x + 1] = dy;
  }
}

using Pixel = std::array<float, 4>;

/// Adds a source pixel with this weight; nothing outside the picture.
void add_pixel(const Image& image, int64_t y, int64_t x, float weight, Pixel& sum) {
  if (y < 0 || x < 0 || y >= image.height || x >= image.width) return;
  const uint8_t* in = image.row(y) + x * 4;
  for (size_t c = 0; c < 4; ++c) sum[c] += weight * static_cast<float>(in[c]);
}

Pixel sample(const Image& image, float y, float x) {
  Pixel sum{};
  if (!(y > -1 && x > -1 && y < static_cast<float>(image.height) && x < static_cast<float>(image.width))) return sum;
  const float top = std::floor(y), left = std::floor(x), fy = y - top, fx = x - left;
  const auto iy = static_cast<int64_t>(top), ix = static_cast<int64_t>(left);
  add_pixel(image, iy, ix, (1 - fy) * (1 - fx), sum);
  add_pixel(image, iy, ix + 1, (1 - fy) * fx, sum);
  add_pixel(image, iy + 1, ix, fy * (1 - fx), sum);
  add_pixel(image, iy + 1, ix + 1, fy * fx, sum);
  return sum;
}

}  // namespace

Warp draw_warp(const AugmentOptions& o, bool may_flip, Random& random) {
  Warp warp;
  double angle = random.uniform(-1, 1) * o.rotation * std::numbers::pi / 180;
  if (random.chance(o.large_rotation)) angle *= 3;
  const double scale = std::exp(random.uniform(std::log(o.scale_min), std::log(o.scale_max)));
  const double aspect = std::exp(random.uniform(-1, 1) * o.aspect);
  const double sx = 1 / (scale * std::sqrt(aspect)), sy = std::sqrt(aspect) / scale;
  const double shear_x = random.uniform(-1, 1) * o.shear, shear_y = random.uniform(-1, 1) * o.shear;
  warp.x0 = random.uniform(-1, 1) * o.translation;
  warp.y0 = random.uniform(-1, 1) * o.translation;
  const double mirror = random.chance(o.flip) && may_flip ? -1 : 1;
  const double c = std::cos(angle), s = std::sin(angle);
  warp.xx = mirror * sx * (c - s * shear_y);  // rotation times shear, rows scaled
  warp.xy = mirror * sx * (c * shear_x - s);
  warp.yx = sy * (s + c * shear_y);
  warp.yy = sy * (s * shear_x + c);
  warp.px = random.uniform(-1, 1) * o.perspective;
  warp.py = random.uniform(-1, 1) * o.perspective;
  if (o.elastic > 0) {
    const double amount = o.elastic * random.uniform();
    warp.field.resize(kField * kField * 2);
    for (auto& value : warp.field) value = static_cast<float>(amount * random.normal());
  }
  return warp;
}

void apply_warp(const Image& image, const Warp& warp, int64_t size, float* rgba) {
  const auto half_height = static_cast<float>(image.height) / 2, half_width = static_cast<float>(image.width) / 2;
  const auto xx = static_cast<float>(warp.xx), xy = static_cast<float>(warp.xy), x0 = static_cast<float>(warp.x0);
  const auto yx = static_cast<float>(warp.yx), yy = static_cast<float>(warp.yy), y0 = static_cast<float>(warp.y0);
  const auto px = static_cast<float>(warp.px), py = static_cast<float>(warp.py);
  std::vector<float> moved(static_cast<size_t>(size) * 2, 0.0F);
  const auto weights = warp.field.empty() ? std::vector<std::array<float, kField>>{} : field_weights(size);
  for (int64_t row = 0; row < size; ++row) {
    if (!weights.empty()) field_row(warp.field, weights, row, moved);
    const float v = (2 * static_cast<float>(row) + 1) / static_cast<float>(size) - 1;
    for (int64_t column = 0; column < size; ++column) {
      const float u = (2 * static_cast<float>(column) + 1) / static_cast<float>(size) - 1;
      float x = xx * u + xy * v + x0, y = yx * u + yy * v + y0;
      const float depth = 1 / (1 + px * x + py * y);
      x = x * depth + moved[static_cast<size_t>(2 * column)];
      y = y * depth + moved[static_cast<size_t>(2 * column + 1)];
      const Pixel pixel = sample(image, (y + 1) * half_height - 0.5F, (x + 1) * half_width - 0.5F);
      for (size_t c = 0; c < 4; ++c) rgba[c] = pixel[c] * (1 / 255.0F);
      rgba += 4;
    }
  }
}

}  // namespace tessera
