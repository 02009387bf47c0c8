#include "encoders/rmt.h"

#include "pyramids.h"

namespace tessera {
namespace {

using testing::distance;
using testing::drawn;
using testing::error_of;
using testing::pixels;

RmtOptions small() {
  return {.dims = {8, 12},
          .depths = {2, 1},
          .heads = {2, 3},
          .first_decays = {2, 1},
          .decay_ranges = {4, 3},
          .ffn_ratios = {2, 3},
          .decomposed = {true, false},
          .layer_scales = {false, true},
          .layer_scale = 0.5,
          .projection = 20};
}

TEST(Rmt, ReadsPicturesOfAnySize) {
  testing::expect_an_encoder(*drawn<Rmt>(small()), {{32, 24}, {1, 1}, {3, 40}, {17, 33}});
}

TEST(Rmt, GradientsReachEveryParameter) {
  const auto rmt = drawn<Rmt>(small(), 0.4);
  testing::expect_gradients(*rmt, rmt->forward(pixels(32, 24)).x);
  testing::expect_gradients(*rmt, rmt->forward(pixels(37, 18)).x);
}

TEST(Rmt, WholeAndDecomposedAreOneOnASingleRow) {
  const torch::NoGradGuard no_grad;
  RmtOptions options = small();
  options.decomposed = {false, false};
  const auto whole = drawn<Rmt>(options, 0.4);
  options.decomposed = {true, true};
  const auto decomposed = drawn<Rmt>(options, 0.4);
  const auto apart = [&](int64_t height) {
    return distance(whole->forward(pixels(height, 40)).x, decomposed->forward(pixels(height, 40)).x);
  };
  EXPECT_LT(apart(4), 1e-4);
  EXPECT_GT(apart(40), 100 * apart(4));
}

TEST(Rmt, DropPathIsOffOutsideTraining) { testing::expect_drop_path_off<Rmt>(small(), 32, 24); }

TEST(Rmt, LayersAndTheirAttentionCanBeTapped) {
  const torch::NoGradGuard no_grad;
  const auto rmt = drawn<Rmt>(small());
  Taps taps(*rmt, {"stages.0", "stages.0.layers.1.mixing", "stages.1.layers.0.mixing.attention.weights"});
  rmt->forward(pixels(32, 24));
  EXPECT_EQ(taps.at("stages.0").sizes(), (std::vector<int64_t>{2, 8, 8, 6}));
  EXPECT_EQ(taps.at("stages.0.layers.1.mixing").sizes(), (std::vector<int64_t>{2, 48, 8}));
  EXPECT_EQ(taps.at("stages.1.layers.0.mixing.attention.weights").sizes(), (std::vector<int64_t>{2, 3, 12, 12}));
}

TEST(Rmt, WhatDoesNotFitIsAnError) {
  RmtOptions options = small();
  options.decomposed = {true};
  EXPECT_THAT(error_of([&] { Rmt rmt(options); }), ::testing::HasSubstr("different lengths"));
  options = small(), options.heads = {0, 3};
  EXPECT_THROW(Rmt rmt(options), Error);
  options = small(), options.heads = {8, 3};  // one channel a head
  EXPECT_THROW(Rmt rmt(options), Error);
}

TEST(Rmt, IsBuiltByKind) {
  Json options = write_options(small());
  options["kind"] = "rmt";
  EXPECT_EQ(encoders().make(options, "encoder")->width(), 20);
}

}  // namespace
}  // namespace tessera
