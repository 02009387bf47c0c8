#include "train/augment.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "data/pictures.h"

namespace tessera {
namespace {

/// A red square on nothing, a quarter of the picture.
Image red_square() {
  Image image(32, 32, 4);
  for (int64_t y = 8; y < 24; ++y)
    for (int64_t x = 8; x < 24; ++x) image.at(y, x, 0) = image.at(y, x, 3) = 255;
  return image;
}

AugmentOptions nothing() {
  AugmentOptions options;
  auto clear = []<class T>(const char*, T& value) {
    if constexpr (std::is_same_v<T, double>) value = 0;
  };
  visit_options(options, clear);
  options.scale_min = options.scale_max = options.saturation_min = options.saturation_max = 1;
  return options;
}

std::vector<float> varied(const AugmentOptions& options, uint64_t seed, int64_t size = 32) {
  std::vector<float> planes(static_cast<size_t>(3 * size * size));
  Random random(seed);
  augment(red_square(), options, Symmetry(), random, size, planes.data());
  return planes;
}

TEST(Augment, IsAFunctionOfTheSeed) {
  EXPECT_EQ(varied({}, 1), varied({}, 1));
  EXPECT_NE(varied({}, 1), varied({}, 2));
}

TEST(Augment, StaysInRange) {
  AugmentOptions options;
  options.outline = options.permute = 0.3;
  for (uint64_t seed = 0; seed < 200; ++seed)
    for (const float value : varied(options, seed, 16)) ASSERT_TRUE(value >= 0 && value <= 1.00001F) << seed;
}

TEST(Augment, WithoutAmountsIsThePictureOnTheBackground) {
  const std::vector<float> planes = varied(nothing(), 5);
  EXPECT_NEAR(planes[0], 1, 1e-5);                    // white corner
  EXPECT_NEAR(planes[16 * 32 + 16], 1, 2e-3);         // red in the middle: red plane
  EXPECT_NEAR(planes[1024 + 16 * 32 + 16], 0, 2e-3);  // green plane
  std::vector<float> plain(3 * 32 * 32);
  plain_view(red_square(), {1, 1, 1}, 32, plain.data());
  for (size_t i = 0; i < planes.size(); ++i) ASSERT_NEAR(planes[i], plain[i], 3e-3);
}

TEST(Augment, GrayscaleHasEqualChannels) {
  AugmentOptions options = nothing();
  options.grayscale = 1;
  const std::vector<float> planes = varied(options, 5);
  for (size_t i = 0; i < 1024; ++i) {
    ASSERT_NEAR(planes[i], planes[1024 + i], 1e-3);
    ASSERT_NEAR(planes[i], planes[2048 + i], 1e-3);
  }
}

TEST(Augment, MirrorsOnlyWhereTheNameAllowsIt) {
  AugmentOptions options;
  options.keep_colour = "flag|red|blue";
  EXPECT_TRUE(symmetry_of("grinning face", options).mirror);
  EXPECT_TRUE(symmetry_of("cup with straw", options).mirror);
  EXPECT_FALSE(symmetry_of("Right arrow", options).mirror);
  EXPECT_FALSE(symmetry_of("backhand index pointing up", options).mirror);
  EXPECT_FALSE(symmetry_of("left-facing fist", options).mirror);
  EXPECT_FALSE(symmetry_of("Blue heart", options).colour);
  EXPECT_TRUE(symmetry_of("hundred points", options).colour);
}

TEST(Augment, KeepsColoursThatHaveAMeaning) {
  AugmentOptions options = nothing();
  options.grayscale = options.any_hue = options.invert = options.permute = 1;
  std::vector<float> planes(3 * 32 * 32);
  Random random(3);
  augment(red_square(), options, {.mirror = true, .colour = false}, random, 32, planes.data());
  EXPECT_NEAR(planes[16 * 32 + 16], 1, 2e-3);
  EXPECT_NEAR(planes[1024 + 16 * 32 + 16], 0, 2e-3);
}

TEST(Augment, RampsFromOneSetOfAmountsToAnother) {
  const AugmentOptions start = nothing();
  AugmentOptions end;
  end.rotation = 30;
  EXPECT_EQ(between(start, end, 0).rotation, 0);
  EXPECT_NEAR(between(start, end, 0.5).rotation, 15, 1e-12);
  EXPECT_EQ(between(start, end, 2).rotation, 30);
  EXPECT_NEAR(between(start, end, 0.25).scale_min, 0.75 * 1 + 0.25 * end.scale_min, 1e-12);
}

TEST(Augment, RefusesEmptyRanges) {
  AugmentOptions options;
  options.blur = 2;
  EXPECT_THROW(check_augment(options, "augment"), Error);
  options = {};
  options.scale_min = 2;
  EXPECT_THROW(check_augment(options, "augment"), Error);
}

TEST(Premultiply, WeighsColoursByAlpha) {
  Image image(1, 1, 4);
  image.pixels = {200, 100, 50, 51};
  EXPECT_EQ(premultiply(image).pixels, (std::vector<uint8_t>{40, 20, 10, 51}));
}

}  // namespace
}  // namespace tessera
