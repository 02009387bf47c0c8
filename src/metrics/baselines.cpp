#include "metrics/baselines.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>

#include "core/error.h"
#include "io/resize.h"
#include "io/transform.h"

namespace tessera {
namespace {

constexpr Colour kWhite{255, 255, 255};
constexpr int64_t kPixels = 16;
constexpr int64_t kSide = 64, kCell = 8, kCells = kSide / kCell, kOrientations = 9, kBlock = 2;
constexpr int64_t kChunk = 256;  // test pictures whose distances are held at a time

using Cells = std::array<std::array<std::array<float, kOrientations>, kCells>, kCells>;

/// Adds one gradient to the histogram of its cell, shared between the two nearest orientations.
void vote(float dx, float dy, std::array<float, kOrientations>& histogram) {
  const float magnitude = std::hypot(dx, dy);
  float angle = std::atan2(dy, dx) / std::numbers::pi_v<float>;  // -1 to 1
  if (angle < 0) angle += 1;                                     // unsigned: opposite directions are one
  const float place = angle * kOrientations - 0.5f;
  const auto lower = static_cast<int64_t>(std::floor(place));
  const float share = place - static_cast<float>(lower);
  const auto at = [](int64_t bin) { return static_cast<size_t>((bin + kOrientations) % kOrientations); };
  histogram[at(lower)] += magnitude * (1 - share);
  histogram[at(lower + 1)] += magnitude * share;
}

Cells cell_histograms(const Image& rgb) {
  Cells cells{};
  for (int64_t y = 0; y < kSide; ++y)
    for (int64_t x = 0; x < kSide; ++x) {
      float best_x = 0, best_y = 0;
      for (int64_t c = 0; c < 3; ++c) {
        const auto value = [&](int64_t row, int64_t column) {
          return static_cast<float>(
                     rgb.at(std::clamp<int64_t>(row, 0, kSide - 1), std::clamp<int64_t>(column, 0, kSide - 1), c)) /
                 255.0f;
        };
        const float dx = value(y, x + 1) - value(y, x - 1), dy = value(y + 1, x) - value(y - 1, x);
        if (dx * dx + dy * dy > best_x * best_x + best_y * best_y) best_x = dx, best_y = dy;
      }
      vote(best_x, best_y, cells[static_cast<size_t>(y / kCell)][static_cast<size_t>(x / kCell)]);
    }
  return cells;
}

/// L2-Hys: to unit length, no value above 0.2, to unit length again.
void normalise(float* values, int64_t count) {
  for (const bool clip : {true, false}) {
    double sum = 1e-10;
    for (int64_t i = 0; i < count; ++i) sum += static_cast<double>(values[i]) * static_cast<double>(values[i]);
    const auto scale = static_cast<float>(1 / std::sqrt(sum));
    for (int64_t i = 0; i < count; ++i) values[i] = clip ? std::min(0.2f, values[i] * scale) : values[i] * scale;
  }
}

void check(const torch::Tensor& features, const std::vector<int64_t>& classes, const char* which) {
  if (features.dim() != 2 || features.size(0) != static_cast<int64_t>(classes.size()))
    throw Error("needs one row of features per class", which);
}

/// Squared distances of each row of `test` to each of `train`: M x N.
torch::Tensor distances(const torch::Tensor& test, const torch::Tensor& train) {
  torch::Tensor squares = train.square().sum(1) - 2 * torch::matmul(test, train.t());  // M x N
  return (squares + test.square().sum(1, /*keepdim=*/true)).contiguous();
}

/// The place of a class by the nearest picture of each; `count` where it has no picture.
int64_t place(const float* distance, const std::vector<int64_t>& classes, int64_t truth, int64_t count) {
  std::vector<float> nearest(static_cast<size_t>(count), std::numeric_limits<float>::infinity());
  for (size_t i = 0; i < classes.size(); ++i) {
    float& best = nearest[static_cast<size_t>(classes[i])];
    best = std::min(best, distance[i]);
  }
  if (truth < 0 || truth >= count || !std::isfinite(nearest[static_cast<size_t>(truth)])) return count;
  const float own = nearest[static_cast<size_t>(truth)];
  int64_t before = 0;
  for (int64_t other = 0; other < count; ++other) {
    const float distance_of_other = nearest[static_cast<size_t>(other)];
    before += distance_of_other < own || (distance_of_other == own && other < truth);
  }
  return before;
}

}  // namespace

torch::Tensor pixel_features(const Image& image) {
  const Image small = resize(composite(image, kWhite), kPixels, kPixels, Filter::kBilinear);
  torch::Tensor features = torch::empty({static_cast<int64_t>(small.pixels.size())});
  float* out = features.data_ptr<float>();
  for (const uint8_t value : small.pixels) *out++ = static_cast<float>(value) / 255.0f;
  return features;
}

torch::Tensor hog_features(const Image& image) {
  const Cells cells = cell_histograms(resize(composite(image, kWhite), kSide, kSide, Filter::kBilinear));
  constexpr int64_t kBlocks = kCells - kBlock + 1, kLength = kBlock * kBlock * kOrientations;
  torch::Tensor features = torch::empty({kBlocks * kBlocks * kLength});
  float* block = features.data_ptr<float>();
  for (size_t y = 0; y < kBlocks; ++y)
    for (size_t x = 0; x < kBlocks; ++x, block += kLength) {
      float* out = block;
      for (size_t row = y; row < y + kBlock; ++row)
        for (size_t column = x; column < x + kBlock; ++column) out = std::ranges::copy(cells[row][column], out).out;
      normalise(block, kLength);
    }
  return features;
}

std::vector<int64_t> nearest_neighbour_ranks(const torch::Tensor& train, const std::vector<int64_t>& train_classes,
                                             const torch::Tensor& test, const std::vector<int64_t>& test_classes) {
  check(train, train_classes, "training pictures");
  check(test, test_classes, "test pictures");
  if (train_classes.empty()) throw Error("there are none", "training pictures");
  if (test_classes.empty()) return {};
  if (train.size(1) != test.size(1))
    throw Error("have features of another length than the training pictures", "test pictures");
  const int64_t count = *std::max_element(train_classes.begin(), train_classes.end()) + 1;
  std::vector<int64_t> ranks;
  for (int64_t first = 0; first < test.size(0); first += kChunk) {
    const int64_t rows = std::min(kChunk, test.size(0) - first);
    const torch::Tensor squares = distances(test.narrow(0, first, rows), train);
    for (int64_t row = 0; row < rows; ++row)
      ranks.push_back(place(squares.data_ptr<float>() + row * train.size(0), train_classes,
                            test_classes[static_cast<size_t>(first + row)], count));
  }
  return ranks;
}

double top_k(const std::vector<int64_t>& ranks, int64_t k) {
  if (ranks.empty()) return 0;
  const auto hits = std::count_if(ranks.begin(), ranks.end(), [k](int64_t rank) { return rank < k; });
  return static_cast<double>(hits) / static_cast<double>(ranks.size());
}

}  // namespace tessera
