#include "encoders/hornet.h"

#include "pyramids.h"

namespace tessera {
namespace {

using testing::drawn;
using testing::error_of;
using testing::pixels;

HornetOptions small(bool filters = false) {
  HornetOptions o{.dim = 8, .depths = {1, 1, 2}, .orders = {2, 3, 4}, .scales = {0.3, 0.3, 0.3}, .layer_scale = 0.1};
  o.filter_heights = {0, 0, filters ? 2 : 0}, o.filter_widths = {0, 0, filters ? 2 : 0};
  return o;
}

TEST(Hornet, ReadsPicturesOfAnySizeFromItsLastPatchOn) {
  for (const bool filters : {false, true})
    testing::expect_an_encoder(*drawn<Hornet>(small(filters)), {{32, 32}, {16, 16}, {17, 70}, {47, 33}});
  EXPECT_THAT(error_of([] { drawn<Hornet>(small())->forward(pixels(15, 32)); }), ::testing::HasSubstr("too small"));
}

TEST(Hornet, GradientsReachEveryParameter) {
  for (const bool filters : {false, true}) {
    const auto hornet = drawn<Hornet>(small(filters), 0.5);
    testing::expect_gradients(*hornet, hornet->forward(pixels(32, 48)).x);
    testing::expect_gradients(*hornet, hornet->forward(pixels(50, 37)).x);
  }
}

TEST(Hornet, AFilterCarriesWhatConvolutionsDoNot) {
  const torch::NoGradGuard no_grad;
  for (const bool filters : {false, true}) {
    const auto hornet = drawn<Hornet>(small(filters), 0.5);
    Tensor picture = pixels(32, 32 * 16, 1);
    const Tensor before = hornet->forward(picture).x;
    picture.narrow(3, 0, 16) += 1;
    const Tensor change = (hornet->forward(picture).x - before).abs().sum(-1).view({2, 32});
    EXPECT_EQ(change.select(1, 31).max().item<double>() > 0, filters);
  }
}

TEST(Hornet, DropPathIsOffOutsideTraining) { testing::expect_drop_path_off<Hornet>(small(), 32, 32); }

TEST(Hornet, StagesAndGatesCanBeTapped) {
  const torch::NoGradGuard no_grad;
  const auto hornet = drawn<Hornet>(small());
  Taps taps(*hornet, {"stages.1", "stages.2.blocks.1", "stages.0.blocks.0.attention.gates"});
  hornet->forward(pixels(32, 48));
  EXPECT_EQ(taps.at("stages.1").sizes(), (std::vector<int64_t>{2, 16, 4, 6}));
  EXPECT_EQ(taps.at("stages.2.blocks.1").sizes(), (std::vector<int64_t>{2, 6, 32}));
  EXPECT_EQ(taps.at("stages.0.blocks.0.attention.gates").sizes(), (std::vector<int64_t>{2, 12, 8, 12}));
}

TEST(Hornet, WhatDoesNotFitIsAnError) {
  HornetOptions options = small();
  options.orders = {2, 3};
  EXPECT_THAT(error_of([&] { Hornet hornet(options); }), ::testing::HasSubstr("different lengths"));
  options = small(), options.orders = {5, 3, 4};
  EXPECT_THROW(Hornet hornet(options), Error);
}

TEST(Hornet, IsBuiltByKind) {
  Json options = write_options(small());
  options["kind"] = "hornet";
  EXPECT_EQ(encoders().make(options, "encoder")->width(), 32);
}

}  // namespace
}  // namespace tessera
