#include "metrics/baselines.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace tessera {
namespace {

/// Stripes of a period of 16 pixels, at right angles to the axis.
Image stripes(bool vertical) {
  Image image(64, 64, 3);
  for (int64_t y = 0; y < 64; ++y)
    for (int64_t x = 0; x < 64; ++x)
      for (int64_t c = 0; c < 3; ++c) image.at(y, x, c) = (vertical ? x : y) % 16 < 8 ? 255 : 0;
  return image;
}

}  // namespace

TEST(Baselines, PixelsOnWhite) {
  Image image(32, 32, 4);  // transparent
  for (int64_t y = 0; y < 16; ++y)
    for (int64_t x = 0; x < 32; ++x) image.at(y, x, 3) = image.at(y, x, 0) = 255;  // upper half: red
  const torch::Tensor features = pixel_features(image);
  ASSERT_EQ(features.sizes(), (std::vector<int64_t>{768}));
  EXPECT_EQ(features[0].item<float>(), 1);
  EXPECT_EQ(features[1].item<float>(), 0);
  EXPECT_TRUE(features.narrow(0, 9 * 48, 7 * 48).eq(1).all().item<bool>()) << "white below the edge";
}

TEST(Baselines, HogTellsDirectionsApartAndIgnoresTheSign) {
  const torch::Tensor vertical = hog_features(stripes(true)), horizontal = hog_features(stripes(false));
  ASSERT_EQ(vertical.sizes(), (std::vector<int64_t>{1764}));
  EXPECT_NEAR(vertical.view({49, 36}).norm(2, 1).min().item<double>(), 1, 1e-4);
  EXPECT_GT((vertical - horizontal).norm().item<double>(), 5);
  Image inverse = stripes(true);
  for (uint8_t& value : inverse.pixels) value = static_cast<uint8_t>(255 - value);
  EXPECT_LT((vertical - hog_features(inverse)).norm().item<double>(), 1e-3);
  EXPECT_EQ(hog_features(Image(8, 8, 4)).abs().max().item<double>(), 0) << "nothing is drawn";
}

TEST(Baselines, RanksCountClassesNotPictures) {
  const torch::Tensor train = torch::tensor({0.0f, 0.1f, 0.2f, 5.0f, 9.0f}).unsqueeze(1);
  const std::vector<int64_t> classes = {0, 0, 0, 1, 3};
  const torch::Tensor test = torch::tensor({0.0f, 0.0f, 4.0f, 9.0f, 1.0f}).unsqueeze(1);
  const auto ranks = nearest_neighbour_ranks(train, classes, test, {0, 1, 3, 3, 2});
  EXPECT_EQ(ranks, (std::vector<int64_t>{0, 1, 2, 0, 4})) << "class 2 has no training picture";
  EXPECT_DOUBLE_EQ(top_k(ranks, 1), 0.4);
  EXPECT_DOUBLE_EQ(top_k(ranks, 3), 0.8);
  EXPECT_DOUBLE_EQ(top_k({}, 1), 0);
}

TEST(Baselines, WrongShapesAreErrors) {
  EXPECT_THROW(nearest_neighbour_ranks(torch::zeros({2, 3}), {0}, torch::zeros({1, 3}), {0}), Error);
  EXPECT_THROW(nearest_neighbour_ranks(torch::zeros({1, 3}), {0}, torch::zeros({1, 2}), {0}), Error);
  EXPECT_THROW(nearest_neighbour_ranks(torch::zeros({0, 3}), {}, torch::zeros({1, 3}), {0}), Error);
}

}  // namespace tessera
