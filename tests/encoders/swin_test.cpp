#include "encoders/swin.h"

#include "pyramids.h"

namespace tessera {
namespace {

using testing::distance;
using testing::drawn;
using testing::error_of;
using testing::pixels;

SwinOptions small() {
  return {
      .image = {32, 24}, .patch = 2, .dim = 8, .depths = {2, 2}, .heads = {2, 4}, .windows = {4, 4}, .ffn_ratio = 2};
}

TEST(Swin, ReadsPicturesOfAnySize) {
  SwinOptions positions = small();
  positions.absolute_positions = true;
  for (const SwinOptions& options : {small(), positions})
    testing::expect_an_encoder(*drawn<Swin>(options), {{32, 24}, {1, 1}, {3, 40}, {17, 33}, {10, 5}});
}

TEST(Swin, GradientsReachEveryParameter) {
  SwinOptions other = small();
  other.absolute_positions = true, other.patch_norm = false, other.qkv_bias = false;
  for (const SwinOptions& options : {small(), other}) {
    const auto swin = drawn<Swin>(options);
    testing::expect_gradients(*swin, swin->forward(pixels(32, 24)).x);
    testing::expect_gradients(*swin, swin->forward(pixels(27, 30)).x);
  }
}

TEST(Swin, DropPathAndDropoutAreOffOutsideTraining) {
  const torch::NoGradGuard no_grad;
  SwinOptions options = small();
  options.drop_path = 0.9, options.dropout = 0.5;
  EXPECT_TRUE(
      torch::equal(drawn<Swin>(options)->forward(pixels(24, 32)).x, drawn<Swin>(small())->forward(pixels(24, 32)).x));
}

/// How much the cells of the first stage's map change when the first patch does: h x w.
Tensor reach(const SwinOptions& options) {
  const torch::NoGradGuard no_grad;
  const auto swin = drawn<Swin>(options);
  Taps taps(*swin, {"stages.0"});
  Tensor picture = pixels(32, 32, 1);
  swin->forward(picture);
  const Tensor before = taps.at("stages.0");
  picture.narrow(2, 6, 2).narrow(3, 6, 2) += 1;  // the last patch of the first window
  swin->forward(picture);
  return (taps.at("stages.0") - before).abs().sum(1)[0];
}

TEST(Swin, ShiftedWindowsCarryWhatPlainOnesDoNot) {
  SwinOptions options = small();
  const Tensor both = reach(options);
  EXPECT_GT(both.narrow(0, 4, 2).narrow(1, 4, 2).min().item<double>(), 1e-4) << "the next window, through the shift";
  EXPECT_LT(both.narrow(0, 6, 10).max().item<double>(), 1e-5);
  options.depths = {1, 2};
  const Tensor plain = reach(options);
  EXPECT_GT(plain.narrow(0, 0, 4).narrow(1, 0, 4).min().item<double>(), 1e-4);
  EXPECT_LT(plain.narrow(0, 4, 12).max().item<double>(), 1e-5);
}

TEST(Swin, MergingJoinsTheTwoOfAColumnFirst) {
  const torch::NoGradGuard no_grad;
  PatchMerging merging(1, 4);
  for (auto& item : merging.named_parameters())
    if (item.key() == "reduction.weight") item.value().copy_(torch::eye(4));
  const Tensor map = torch::tensor({1., 2., 3., 4.}).to(torch::kFloat32).view({1, 1, 2, 2});
  const Tensor merged = merging.forward(map).flatten();
  const Tensor expected = torch::tensor({1., 3., 2., 4.}).to(torch::kFloat32);
  EXPECT_LT(distance(merged, torch::layer_norm(expected, {4})), 1e-4);
}

TEST(Swin, BlocksAndTheirAttentionCanBeTapped) {
  const torch::NoGradGuard no_grad;
  const auto swin = drawn<Swin>(small());
  Taps taps(*swin, {"stages.0", "stages.1.entry.merged", "stages.0.blocks.1", "stages.0.blocks.1.attention.weights"});
  swin->forward(pixels(32, 24));
  EXPECT_EQ(taps.at("stages.0").sizes(), (std::vector<int64_t>{2, 8, 16, 12}));
  EXPECT_EQ(taps.at("stages.1.entry.merged").sizes(), (std::vector<int64_t>{2, 48, 16}));
  EXPECT_EQ(taps.at("stages.0.blocks.1").sizes(), (std::vector<int64_t>{2, 192, 8}));
  EXPECT_EQ(taps.at("stages.0.blocks.1.attention.weights").sizes(), (std::vector<int64_t>{24, 2, 16, 16}));
}

TEST(Swin, WhatDoesNotFitIsAnError) {
  SwinOptions options = small();
  options.windows = {4};
  EXPECT_THAT(error_of([&] { Swin swin(options); }), ::testing::HasSubstr("different lengths"));
  options = small(), options.image = {32};
  EXPECT_THROW(Swin swin(options), Error);
  options = small(), options.heads = {3, 4};
  EXPECT_THROW(Swin swin(options), Error);
  EXPECT_THROW(drawn<Swin>(small())->forward(torch::zeros({1, 3, 0, 4})), Error);
}

TEST(Swin, IsBuiltByKind) {
  Json options = write_options(small());
  options["kind"] = "swin";
  EXPECT_EQ(encoders().make(options, "encoder")->width(), 16);
}

}  // namespace
}  // namespace tessera
