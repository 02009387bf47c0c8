#include "layers/rotary.h"

#include <gmock/gmock.h>

#include <cmath>

#include "layers/promises.h"
#include "support/scratch.h"

namespace tessera {
namespace {

using testing::distance;
using testing::error_of;

const torch::TensorOptions kSingle = torch::TensorOptions().dtype(torch::kFloat32);

Tensor positions(std::vector<int64_t> values) {
  return torch::tensor(values, torch::kInt64).view({1, static_cast<int64_t>(values.size()), 1});
}

Tensor turned(const RotaryOptions& options, const Tensor& x, const std::vector<int64_t>& at) {
  return Rotary(options, x.size(-1)).rotation(positions(at), kSingle).apply(x);
}

Tensor vectors(int64_t length, int64_t width = 8) {
  at::manual_seed(3);
  return torch::randn({1, 2, length, width});
}

TEST(Rotary, ScoresDependOnTheDistanceAlone) {
  const Tensor q = vectors(1), k = vectors(1).flip(-1);
  for (const bool adjacent : {false, true}) {
    const RotaryOptions options{.adjacent = adjacent};
    const auto score = [&](int64_t i, int64_t j) {
      return (turned(options, q, {i}) * turned(options, k, {j})).sum(-1);
    };
    EXPECT_LT(distance(score(7, 3), score(104, 100)), 1e-4);
    EXPECT_GT(distance(score(7, 3), score(7, 5)), 1e-2);
  }
}

TEST(Rotary, PositionZeroTurnsNothingAndLengthsStay) {
  const Tensor x = vectors(3);
  EXPECT_LT(distance(turned({}, x, {0, 0, 0}), x), 1e-6);
  EXPECT_LT(distance(turned({}, x, {5, 900, 31}).norm(2, -1), x.norm(2, -1)), 1e-4);
}

TEST(Rotary, ChannelsBeyondTheFractionPass) {
  const Tensor x = vectors(2), y = turned({.fraction = 0.5}, x, {3, 4});
  EXPECT_TRUE(torch::equal(y.narrow(-1, 4, 4), x.narrow(-1, 4, 4)));
  EXPECT_LT(distance(y.narrow(-1, 0, 4), turned({}, x.narrow(-1, 0, 4), {3, 4})), 1e-6);
}

TEST(Rotary, AdjacentPairsAreHalvesInAnotherOrder) {
  const Tensor x = vectors(2), order = torch::tensor({0, 2, 4, 6, 1, 3, 5, 7}, torch::kInt64);
  EXPECT_LT(distance(turned({.adjacent = true}, x, {3, 9}).index_select(-1, order),
                     turned({}, x.index_select(-1, order), {3, 9})),
            1e-6);
}

TEST(Rotary, LinearScalingIsAPositionDivided) {
  const Tensor x = vectors(2);
  EXPECT_LT(distance(turned({.scaling = "linear", .factor = 4}, x, {8, 40}), turned({}, x, {2, 10})), 1e-5);
}

TEST(Rotary, AFactorOfOneScalesNothing) {
  const Tensor plain = Rotary({}, 16).frequencies(0);
  for (const char* scaling : {"linear", "dynamic", "yarn", "llama3"}) {
    const RotaryOptions options{.scaling = scaling, .factor = 1, .original_length = 16};
    EXPECT_LT(distance(Rotary(options, 16).frequencies(16), plain), 1e-12) << scaling;
    EXPECT_LT(distance(turned(options, vectors(1, 16), {7}), turned({}, vectors(1, 16), {7})), 1e-6) << scaling;
  }
}

TEST(Rotary, Llama3AndYarnKeepHighFrequenciesAndDivideLowOnes) {
  const Tensor plain = Rotary({}, 64).frequencies(0);
  for (const char* scaling : {"yarn", "llama3"}) {
    const RotaryOptions options{.scaling = scaling, .factor = 8, .original_length = 2048};
    const Tensor ratio = plain / Rotary(options, 64).frequencies(0);
    EXPECT_NEAR(ratio[0].item<double>(), 1, 1e-9) << scaling;
    EXPECT_NEAR(ratio[31].item<double>(), 8, 1e-9) << scaling;
    EXPECT_TRUE((ratio.diff() >= -1e-9).all().item<bool>()) << scaling << ": the lower, the more";
  }
}

TEST(Rotary, YarnMakesTheCosinesLarger) {
  const RotaryOptions options{.scaling = "yarn", .factor = 4, .original_length = 16};
  const Tensor x = vectors(1);
  EXPECT_LT(distance(turned(options, x, {0}), x * (0.1 * std::log(4.0) + 1)), 1e-5);
}

TEST(Rotary, DynamicScalingBeginsBeyondTheOriginalLength) {
  const RotaryOptions options{.scaling = "dynamic", .factor = 2, .original_length = 16};
  const Rotary rotary(options, 8);
  EXPECT_TRUE(torch::equal(rotary.frequencies(16), Rotary({}, 8).frequencies(0)));
  EXPECT_LT(rotary.frequencies(32)[3].item<double>(), rotary.frequencies(17)[3].item<double>());
  EXPECT_TRUE(torch::equal(turned(options, vectors(1), {15}), turned({}, vectors(1), {15})));
  EXPECT_GT(distance(turned(options, vectors(1), {40}), turned({}, vectors(1), {40})), 1e-2);
}

TEST(Rotary, LongRopeSwitchesItsFactorsForTheWholeSequence) {
  RotaryOptions options{.scaling = "longrope", .factor = 4, .original_length = 16};
  options.short_factor = {1, 1, 1, 1}, options.long_factor = {1, 2, 3, 4};
  const Rotary rotary(options, 8);
  const Tensor plain = Rotary({}, 8).frequencies(0);
  EXPECT_LT(distance(rotary.frequencies(16), plain), 1e-12);
  EXPECT_LT(distance(rotary.frequencies(17) * torch::tensor({1., 2., 3., 4.}, torch::kFloat64), plain), 1e-12);
  const Tensor x = vectors(2);
  EXPECT_GT(distance(turned(options, x, {5, 16}).select(2, 0), turned(options, x, {5, 15}).select(2, 0)), 1e-3);
}

TEST(Rotary, WhatCannotRotateIsAnError) {
  EXPECT_THROW(Rotary({}, 7), Error);
  EXPECT_THROW(Rotary({.fraction = 0.1}, 8), Error);
  EXPECT_THROW(Rotary({.scaling = "longrope", .short_factor = {1}, .long_factor = {1}}, 8), Error);
  EXPECT_THAT(error_of([] { Rotary({.scaling = "yarm"}, 8); }), ::testing::HasSubstr("did you mean 'yarn'?"));
}

}  // namespace
}  // namespace tessera
