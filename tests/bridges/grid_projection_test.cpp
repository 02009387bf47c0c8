#include "bridges/grid_projection.h"

#include <gmock/gmock.h>

#include <cmath>

#include "layers/promises.h"
#include "support/scratch.h"

namespace tessera {
namespace {

using testing::distance;
using testing::error_of;

constexpr double kNear = 1e-5;

GridProjectionOptions small(std::vector<std::string> sources = {"spatial_avg_pool", "temporal_avg_pool"}) {
  GridProjectionOptions o;
  o.dim = 9, o.width = 8, o.positions = 6, o.frames = 4, o.sources = std::move(sources);
  return o;
}

std::shared_ptr<GridProjection> made(const GridProjectionOptions& options) {
  auto bridge = std::make_shared<GridProjection>(options);
  testing::randomise(*bridge);
  bridge->eval();
  return bridge;
}

Tokens visual(const Grid& grid) {
  at::manual_seed(33);
  int64_t length = 1;
  for (const int64_t extent : grid) length *= extent;
  Tokens tokens;
  tokens.x = torch::randn({2, length, 9});
  tokens.grid = grid;
  return tokens;
}

TEST(GridProjection, TheTokensOfAPictureAreItsMeanAndItsPlaces) {
  const torch::NoGradGuard no_grad;
  const auto bridge = made(small());
  for (const Grid& grid : {Grid{1, 1}, {3, 4}, {6, 2}}) {
    const Tensor x = bridge->forward(visual(grid)).x;
    EXPECT_EQ(x.sizes(), (std::vector<int64_t>{2, 1 + grid[0] * grid[1], 8}));
  }
}

TEST(GridProjection, EachSourceIsAPartOfAll) {
  const torch::NoGradGuard no_grad;
  const Tokens video = visual({3, 2, 4});
  const auto of = [&](std::vector<std::string> sources) { return made(small(std::move(sources)))->forward(video).x; };
  const Tensor all = of({"spatial_avg_pool", "temporal_avg_pool", "last_frame"});
  EXPECT_EQ(all.sizes(), (std::vector<int64_t>{2, 3 + 8 + 8, 8}));
  EXPECT_LT(distance(of({"spatial_avg_pool"}), all.narrow(1, 0, 3)), kNear);
  EXPECT_LT(distance(of({"temporal_avg_pool"}), all.narrow(1, 3, 8)), kNear);
  EXPECT_LT(distance(of({"last_frame"}), all.narrow(1, 11, 8)), kNear);
}

TEST(GridProjection, APictureIsAVideoOfOneFrame) {
  const torch::NoGradGuard no_grad;
  const auto bridge = made(small({"temporal_avg_pool", "last_frame"}));
  const Tensor picture = bridge->forward(visual({2, 4})).x, video = bridge->forward(visual({1, 2, 4})).x;
  EXPECT_TRUE(torch::equal(picture, video));
  EXPECT_LT(distance(picture.narrow(1, 0, 8), picture.narrow(1, 8, 8)), kNear) << "its mean is itself";
}

TEST(GridProjection, EveryPlaceHasItsOwnPosition) {
  const torch::NoGradGuard no_grad;
  const auto bridge = made(small({"temporal_avg_pool"}));
  Tokens tokens = visual({3, 4});
  tokens.x = torch::ones_like(tokens.x);
  const Tensor x = bridge->forward(tokens).x[0];
  for (int64_t i = 0; i < 12; ++i)
    for (int64_t j = 0; j < i; ++j) EXPECT_GT(distance(x[i], x[j]), 1e-3) << i << ", " << j;
}

TEST(GridProjection, PrefixAndSuffixOfThePictureAreLeftOut) {
  const torch::NoGradGuard no_grad;
  const auto bridge = made(small());
  const Tokens tokens = visual({2, 3});
  Tokens more = tokens.with(torch::cat({torch::randn({2, 1, 9}), tokens.x, torch::randn({2, 2, 9})}, 1));
  more.prefix = 1, more.suffix = 2;
  EXPECT_LT(distance(bridge->forward(more).x, bridge->forward(tokens).x), kNear);
}

TEST(GridProjection, FramesAreSinesAndCosines) {
  const Tensor table = sine_cosine_sequence(5, 6);
  EXPECT_EQ(table.sizes(), (std::vector<int64_t>{5, 6}));
  for (int64_t t = 0; t < 5; ++t)
    for (int64_t i = 0; i < 3; ++i) {
      const double angle = static_cast<double>(t) / std::pow(10000.0, 2.0 * static_cast<double>(i) / 6);
      EXPECT_NEAR(table[t][2 * i].item<double>(), std::sin(angle), 1e-6);
      EXPECT_NEAR(table[t][2 * i + 1].item<double>(), std::cos(angle), 1e-6);
    }
  EXPECT_EQ(sine_cosine_sequence(2, 5).size(1), 5);
}

TEST(GridProjection, GradientsReachEveryParameter) {
  const auto bridge = made(small());
  testing::expect_gradients(*bridge, bridge->forward(visual({6, 6})).x);
}

TEST(GridProjection, WhatDoesNotFitIsAnError) {
  const auto bridge = made(small());
  EXPECT_THAT(error_of([&] { bridge->forward(visual({7, 2})); }), ::testing::HasSubstr("1 x 7 x 2 is larger than"));
  EXPECT_THAT(error_of([&] { bridge->forward(visual({5, 2, 2})); }), ::testing::HasSubstr("5 x 2 x 2 is larger than"));
  Tokens flat = visual({2, 2});
  flat.grid = {};
  EXPECT_THAT(error_of([&] { bridge->forward(flat); }), ::testing::HasSubstr("no grid"));
  EXPECT_THROW(made(small({})), Error);
  EXPECT_THAT(error_of([&] { made(small({"temporal_avg_pol"})); }), ::testing::HasSubstr("temporal_avg_pool"));
  const TextBatch text{torch::zeros({2, 1}, torch::kInt64), {}, {}};
  EXPECT_THROW(bridge->forward(visual({2, 2}), &text), Error);
}

}  // namespace
}  // namespace tessera
