#include "encoders/t2t_vit.h"

#include "layers/positions.h"
#include "pyramids.h"

namespace tessera {
namespace {

using testing::distance;
using testing::drawn;
using testing::error_of;
using testing::pixels;

T2tVitOptions small(bool performer) {
  return {.image = {32, 48}, .token_dim = 6, .performer = performer, .dim = 16, .depth = 2, .heads = 2, .ffn = 24};
}

TEST(T2tVit, ReadsPicturesOfAnySizeFromItsFirstSplitOn) {
  for (const bool performer : {false, true})
    testing::expect_an_encoder(*drawn<T2tVit>(small(performer)), {{32, 48}, {3, 3}, {17, 40}, {16, 5}, {50, 33}});
  EXPECT_THAT(error_of([] { drawn<T2tVit>(small(true))->forward(pixels(2, 16)); }),
              ::testing::HasSubstr("smaller than one patch"));
}

TEST(T2tVit, LeavesNoPixelOut) {
  const torch::NoGradGuard no_grad;
  const auto vit = drawn<T2tVit>(small(true));
  Tensor real = torch::ones({2, 32, 48}, torch::kInt64);
  EXPECT_TRUE(torch::equal(vit->forward(pixels(32, 48), real).x, vit->forward(pixels(32, 48)).x));
  real[1][31][47] = 0;
  EXPECT_THAT(error_of([&] { vit->forward(pixels(32, 48), real); }), ::testing::HasSubstr("whole pictures"));
}

TEST(T2tVit, GradientsReachEveryParameter) {
  for (const bool performer : {false, true}) {
    T2tVitOptions options = small(performer);
    options.qkv_bias = !performer;
    const auto vit = drawn<T2tVit>(options);
    testing::expect_gradients(*vit, vit->forward(pixels(32, 48)).x);
    testing::expect_gradients(*vit, vit->forward(pixels(40, 21)).x);
  }
}

TEST(T2tVit, PositionsAndDirectionsAreNotLearned) {
  const T2tVit vit(small(true));
  for (const auto& item : vit.named_parameters())
    if (item.key() == "positions") {
      EXPECT_FALSE(item.value().requires_grad());
      EXPECT_TRUE(torch::equal(item.value().squeeze(0), sine_positions(7, 16)));
    }
  EXPECT_TRUE(vit.named_buffers().contains("patches.attention1.directions"));
}

TEST(T2tVit, PatchesOverlapAndComeChannelByChannel) {
  const Tensor map = torch::arange(2 * 9).to(torch::kFloat32).view({1, 2, 3, 3});
  const Tensor tokens = soft_split(map, 3, 2, 1);  // 2 x 2 tokens, which share the middle
  EXPECT_EQ(tokens.sizes(), (std::vector<int64_t>{1, 4, 18}));
  EXPECT_TRUE(torch::equal(
      tokens[0][0],
      torch::tensor({0., 0., 0., 0., 0., 1., 0., 3., 4., 0., 0., 0., 0., 9., 10., 0., 12., 13.}).to(torch::kFloat32)));
  EXPECT_EQ(tokens[0][3][0].item<float>(), 4);
}

TEST(T2tVit, ItsFirstStepsSeeTheWholePicture) {
  const torch::NoGradGuard no_grad;
  for (const bool performer : {false, true}) {
    const auto vit = drawn<T2tVit>(small(performer));
    Taps taps(*vit, {"patches.attention1"});
    Tensor picture = pixels(32, 48, 1);
    vit->forward(picture);
    const Tensor before = taps.at("patches.attention1");
    EXPECT_EQ(before.sizes(), (std::vector<int64_t>{1, 8 * 12, 6}));
    picture.narrow(2, 0, 4).narrow(3, 0, 4) += 3;
    vit->forward(picture);
    EXPECT_GT((taps.at("patches.attention1") - before).abs().sum(-1).min().item<double>(), 1e-7) << performer;
  }
}

TEST(T2tVit, DropoutIsOffOutsideTraining) {
  const torch::NoGradGuard no_grad;
  T2tVitOptions options = small(true);
  options.performer_dropout = options.dropout = options.drop_path = 0.5;
  const auto with = drawn<T2tVit>(options), without = drawn<T2tVit>(small(true));
  for (const auto& item : with->named_buffers()) without->named_buffers()[item.key()].copy_(item.value());
  EXPECT_TRUE(torch::equal(with->forward(pixels(32, 48)).x, without->forward(pixels(32, 48)).x));
}

TEST(T2tVit, BlocksAndTheirAttentionCanBeTapped) {
  const torch::NoGradGuard no_grad;
  const auto vit = drawn<T2tVit>(small(false));
  Taps taps(*vit, {"blocks.1.attention.weights", "patches", "patches.attention2.weights"});
  vit->forward(pixels(32, 48));
  EXPECT_EQ(taps.at("blocks.1.attention.weights").sizes(), (std::vector<int64_t>{2, 2, 7, 7}));
  EXPECT_EQ(taps.at("patches").sizes(), (std::vector<int64_t>{2, 6, 16}));
  EXPECT_EQ(taps.at("patches.attention2.weights").sizes(), (std::vector<int64_t>{2, 1, 24, 24}));
}

TEST(T2tVit, IsBuiltByKind) {
  Json options = write_options(small(true));
  options["kind"] = "t2t-vit";
  EXPECT_EQ(encoders().make(options, "encoder")->width(), 16);
}

}  // namespace
}  // namespace tessera
