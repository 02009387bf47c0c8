#include "encoders/vitamin.h"

#include "pyramids.h"

namespace tessera {
namespace {

using testing::distance;
using testing::drawn;
using testing::error_of;
using testing::pixels;

VitaminOptions small() {
  return {
      .image = {32, 48}, .stem = 6, .widths = {6, 10}, .depths = {2, 1}, .dim = 16, .depth = 2, .heads = 2, .ffn = 24};
}

TEST(Vitamin, ReadsPicturesOfAnySize) {
  VitaminOptions bare = small();
  bare.positions = false;
  for (const VitaminOptions& options : {small(), bare})
    testing::expect_an_encoder(*drawn<Vitamin>(options), {{32, 48}, {1, 1}, {17, 40}, {16, 5}, {50, 33}});
}

TEST(Vitamin, GradientsReachEveryParameter) {
  const auto vitamin = drawn<Vitamin>(small());
  testing::expect_gradients(*vitamin, vitamin->forward(pixels(32, 48)).x);
  testing::expect_gradients(*vitamin, vitamin->forward(pixels(40, 21)).x);
}

TEST(Vitamin, AHalvingShortcutAveragesWhatIsThere) {
  const torch::NoGradGuard no_grad;
  MbConv halving(4, 4, 2);
  for (auto& item : halving.named_parameters())
    if (item.key().starts_with("down")) item.value().zero_();
  const Tensor map = torch::ones({1, 4, 5, 6});  // padding would make the edges smaller
  EXPECT_LT(distance(halving.forward(map), torch::ones({1, 4, 3, 3})), 1e-6);
}

TEST(Vitamin, WidthsInsideAreMultiplesOfEight) {
  EXPECT_EQ(MbConv(3, 3, 1).named_parameters()["up.weight"].size(0), 16);  // of 12, the next one
  EXPECT_EQ(MbConv(8, 8, 1).named_parameters()["up.weight"].size(0), 32);
}

TEST(Vitamin, MapsAndBlocksCanBeTapped) {
  const torch::NoGradGuard no_grad;
  const auto vitamin = drawn<Vitamin>(small());
  Taps taps(*vitamin, {"patches.stem", "patches.stages.1", "blocks.0.ffn", "blocks.1.attention.weights"});
  vitamin->forward(pixels(32, 48));
  EXPECT_EQ(taps.at("patches.stem").sizes(), (std::vector<int64_t>{2, 6, 16, 24}));
  EXPECT_EQ(taps.at("patches.stages.1").sizes(), (std::vector<int64_t>{2, 10, 4, 6}));
  EXPECT_EQ(taps.at("blocks.0.ffn").sizes(), (std::vector<int64_t>{2, 6, 16}));
  EXPECT_EQ(taps.at("blocks.1.attention.weights").sizes(), (std::vector<int64_t>{2, 2, 6, 6}));
}

TEST(Vitamin, NamesOfTimmStandForTheirArguments) {
  PublishedConfig xlarge(vitamin_arguments("vitamin_xlarge_384", "here"), "here");
  const VitaminOptions options = read_vitamin(xlarge);
  xlarge.done();
  EXPECT_EQ(options.image, (std::vector<int64_t>{384, 384}));
  EXPECT_EQ(options.dim, 1152);
  EXPECT_EQ(options.ffn, 2304);
  EXPECT_EQ(options.widths, (std::vector<int64_t>{192, 384}));
  EXPECT_FALSE(options.positions);
  EXPECT_THAT(error_of([] { vitamin_arguments("vitamin_tiny_224", "here"); }),
              ::testing::HasSubstr("vitamin_tiny_224"));
}

TEST(Vitamin, WhatDoesNotFitIsAnError) {
  VitaminOptions options = small();
  options.depths = {2};
  EXPECT_THAT(error_of([&] { Vitamin vitamin(options); }), ::testing::HasSubstr("the same stages"));
}

TEST(Vitamin, IsBuiltByKind) {
  Json options = write_options(small());
  options["kind"] = "vitamin";
  EXPECT_EQ(encoders().make(options, "encoder")->width(), 16);
}

}  // namespace
}  // namespace tessera
