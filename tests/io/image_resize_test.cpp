// Resampling against ATen and by what it promises; the equality with the references is in tests/processors.
#include <ATen/ops/_upsample_bicubic2d_aa.h>
#include <ATen/ops/_upsample_bilinear2d_aa.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>

#include "core/error.h"
#include "image_samples.h"
#include "io/resize_part.h"
#include "io/transform.h"

namespace tessera {
namespace {

using testing::sample_picture;

constexpr Filter kSmooth[] = {Filter::kBox, Filter::kBilinear, Filter::kHamming, Filter::kBicubic, Filter::kLanczos};

FloatImage as_float(const Image& image) {
  FloatImage out(image.height, image.width, image.channels);
  for (size_t i = 0; i < out.pixels.size(); ++i) out.pixels[i] = image.pixels[i];
  return out;
}

struct Target {
  int64_t height, width;
};
constexpr Target kTargets[] = {{17, 23}, {48, 31}, {90, 120}, {1, 1}, {40, 7}};

TEST(Resize, FloatsEqualAtensAntialiasedInterpolation) {
  const FloatImage image = as_float(sample_picture(40, 57, 3));
  const torch::Tensor tensor =
      torch::from_blob(const_cast<float*>(image.pixels.data()), {1, 40, 57, 3}).permute({0, 3, 1, 2});
  for (const auto [height, width] : kTargets) {
    for (const Filter filter : {Filter::kBilinear, Filter::kBicubic}) {
      const torch::Tensor want = filter == Filter::kBilinear
                                     ? at::_upsample_bilinear2d_aa(tensor.contiguous(), {height, width}, false)
                                     : at::_upsample_bicubic2d_aa(tensor.contiguous(), {height, width}, false);
      FloatImage got = resize(image, height, width, filter);
      const torch::Tensor mine = torch::from_blob(got.pixels.data(), {1, height, width, 3}).permute({0, 3, 1, 2});
      EXPECT_LE((mine - want).abs().max().item<float>(), 2e-3) << height << " x " << width;
    }
  }
}

TEST(Resize, BytesAreTheRoundedFloats) {
  for (const int64_t channels : {1, 3, 4}) {
    const Image image = sample_picture(40, 57, channels);
    for (const auto [height, width] : kTargets) {
      for (const Filter filter : kSmooth) {
        const FloatImage want = resize(as_float(image), height, width, filter);
        const Image pil = resize(image, height, width, filter, Arithmetic::kPil);
        const Image aten = resize(image, height, width, filter, Arithmetic::kAten);
        for (size_t i = 0; i < want.pixels.size(); ++i) {
          // Each pass rounds, and the first one's error may be enlarged by the negative lobes.
          const float level = std::clamp(want.pixels[i], 0.0F, 255.0F);
          ASSERT_NEAR(pil.pixels[i], level, 1.5) << filter_name(filter);
          ASSERT_NEAR(aten.pixels[i], pil.pixels[i], 2) << filter_name(filter);
        }
      }
    }
  }
}

TEST(Resize, AFlatPictureStaysFlat) {
  Image image(9, 14, 3);
  image.pixels.assign(image.pixels.size(), 173);
  for (const auto [height, width] : kTargets) {
    for (const Filter filter : kSmooth) {
      for (const uint8_t value : resize(image, height, width, filter).pixels) ASSERT_EQ(value, 173);
    }
  }
}

TEST(Resize, TheSameSizeIsTheSamePicture) {
  const Image image = sample_picture(12, 13, 3);
  for (const Filter filter : kSmooth) EXPECT_EQ(resize(image, 12, 13, filter), image);
}

TEST(Resize, BoxHalvesByAveraging) {
  Image image(2, 4, 1);
  image.pixels = {0,  10, 100, 200,  //
                  20, 30, 0,   0};
  EXPECT_EQ(resize(image, 1, 2, Filter::kBox).pixels, (std::vector<uint8_t>{15, 75}));
}

TEST(Resize, NearestTakesThePixelUnderTheCentre) {
  Image image(1, 5, 1);
  image.pixels = {1, 2, 3, 4, 5};
  EXPECT_EQ(resize(image, 1, 2, Filter::kNearest).pixels, (std::vector<uint8_t>{2, 4}));
  EXPECT_EQ(resize(image, 1, 10, Filter::kNearest).pixels, (std::vector<uint8_t>{1, 1, 2, 2, 3, 3, 4, 4, 5, 5}));
}

TEST(Resize, RefusesSizesThatAreNone) {
  const Image image = sample_picture(4, 4, 3);
  EXPECT_THROW(resize(image, 0, 4), Error);
  EXPECT_THROW(resize(image, 4, -1), Error);
  EXPECT_THROW(resize(Image(), 4, 4), Error);
}

TEST(Resize, APartIsTheWindowOfTheWhole) {
  const Image image = testing::sample_picture(53, 91, 3);
  const std::pair<int64_t, int64_t> sizes[] = {{20, 31}, {53, 31}, {20, 91}, {53, 91}, {80, 120}, {7, 200}};
  for (const auto filter : {Filter::kNearest, Filter::kBilinear, Filter::kBicubic, Filter::kLanczos})
    for (const auto arithmetic : {Arithmetic::kPil, Arithmetic::kAten})
      for (const auto& [height, width] : sizes)
        for (const Part& part : {Part{0, 0, height, width}, Part{2, 5, 3, 4}, Part{height - 5, width - 9, 5, 9},
                                 Part{0, width / 2, height, 1}}) {
          const Image whole = resize(image, height, width, filter, arithmetic);
          EXPECT_EQ(resize_part(image, height, width, part, filter, arithmetic),
                    window(whole, part.top, part.left, part.height, part.width))
              << height << " x " << width << ", " << filter_name(filter);
        }
}

TEST(Resize, RefusesPartsThatReachOutside) {
  const Image image = testing::sample_picture(8, 8, 3);
  for (const Part& part : {Part{-1, 0, 2, 2}, Part{0, -1, 2, 2}, Part{3, 0, 2, 2}, Part{0, 3, 2, 2}, Part{0, 0, 0, 2},
                           Part{0, 0, 2, 0}, Part{INT64_MAX, 0, 2, 2}})
    EXPECT_THROW(resize_part(image, 4, 4, part), Error);
}

TEST(Transform, ConvertDropsAlphaAndCompositeUsesIt) {
  Image image(1, 2, 4);
  image.pixels = {100, 150, 200, 0, 100, 150, 200, 128};
  EXPECT_EQ(convert_rgb(image).pixels, (std::vector<uint8_t>{100, 150, 200, 100, 150, 200}));
  EXPECT_EQ(composite(image, {255, 255, 255}).pixels, (std::vector<uint8_t>{255, 255, 255, 177, 202, 227}));
  Image grey(1, 1, 1);
  grey.pixels = {9};
  EXPECT_EQ(convert_rgb(grey).pixels, (std::vector<uint8_t>{9, 9, 9}));
}

TEST(Transform, CentreCropTakesTheMiddleAndPadsWhatIsMissing) {
  Image image(1, 6, 1);
  image.pixels = {1, 2, 3, 4, 5, 6};
  EXPECT_EQ(center_crop(image, 1, 3).pixels, (std::vector<uint8_t>{2, 3, 4}));
  EXPECT_EQ(center_crop(image, 1, 3, Centre::kEven).pixels, (std::vector<uint8_t>{3, 4, 5})) << "1.5 goes to 2";
  EXPECT_EQ(center_crop(image, 1, 5, Centre::kEven).pixels, (std::vector<uint8_t>{1, 2, 3, 4, 5})) << "0.5 goes to 0";
  EXPECT_EQ(center_crop(image, 1, 9, Centre::kDown, {7, 7, 7}).pixels,
            (std::vector<uint8_t>{7, 1, 2, 3, 4, 5, 6, 7, 7}));
  EXPECT_EQ(center_crop(image, 2, 2).pixels, (std::vector<uint8_t>{3, 4, 0, 0}));
}

TEST(Transform, PadToSquareKeepsThePictureInTheMiddle) {
  Image image(1, 3, 1);
  image.pixels = {4, 5, 6};
  EXPECT_EQ(pad_to_square(image, {9, 9, 9}).pixels, (std::vector<uint8_t>{9, 9, 9, 4, 5, 6, 9, 9, 9}));
}

TEST(Transform, NormalizeWritesPlanes) {
  Image image(1, 2, 3);
  image.pixels = {0, 255, 51, 255, 0, 102};
  Normalize how;
  how.scale = 1.0F / 255;
  how.mean = {0.5F, 0, 0};
  how.std = {0.5F, 1, 2};
  std::vector<float> out(6);
  normalize(image, how, out.data(), 2, 2);
  const std::vector<float> want{-1, 1, 1, 0, 0.1F, 0.2F};
  for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(out[i], want[i], 1e-6);
}

}  // namespace
}  // namespace tessera
