// Fast decoding: how large pictures come out, and how far they are from the exact ones.
#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "image_samples.h"
#include "io/jpeg.h"
#include "io/resize.h"

namespace tessera {
namespace {

using testing::JpegForm;
using testing::sample_jpeg;
using testing::sample_picture;

Image fast(const testing::ByteVector& bytes, PictureSize needed) {
  return decode_jpeg_fast(bytes, "fast.jpg", {}, [=](PictureSize) { return needed; });
}

double mean_difference(const Image& a, const Image& b) {
  double sum = 0;
  for (size_t i = 0; i < a.pixels.size(); ++i) sum += std::abs(int{a.pixels[i]} - int{b.pixels[i]});
  return sum / static_cast<double>(a.pixels.size());
}

TEST(FastJpeg, HasTheSmallestSizeThatIsNotBelowWhatIsNeeded) {
  const auto bytes = sample_jpeg(sample_picture(161, 243, 3));
  const std::tuple<PictureSize, int64_t, int64_t> cases[] = {
      {{1, 1}, 21, 31},    {{21, 31}, 21, 31},   {{22, 31}, 41, 61},  {{21, 32}, 41, 61},
      {{50, 50}, 81, 122}, {{81, 122}, 81, 122}, {{82, 1}, 161, 243}, {{1000, 1000}, 161, 243}};
  for (const auto& [needed, height, width] : cases) {
    const Image image = fast(bytes, needed);
    EXPECT_EQ(image.height, height) << needed.height << " x " << needed.width;
    EXPECT_EQ(image.width, width) << needed.height << " x " << needed.width;
  }
}

TEST(FastJpeg, LooksLikeTheExactPictureInEveryForm) {
  for (const int64_t channels : {1, 3})
    for (const bool progressive : {false, true})
      for (const int64_t height : {20, 40, 80, 160}) {
        const auto bytes = sample_jpeg(sample_picture(160, 240, channels), {.progressive = progressive});
        const Image exact = resize(decode_jpeg(bytes, "exact.jpg"), height, height * 3 / 2);
        const Image found = fast(bytes, {height, height * 3 / 2});
        ASSERT_EQ(found.height, height);
        ASSERT_EQ(found.channels, channels);
        EXPECT_LT(mean_difference(found, exact), 4) << height << (progressive ? " progressive" : "");
      }
}

TEST(FastJpeg, IsAskedForTheUprightSizeAndGivesIt) {
  const auto bytes = sample_jpeg(sample_picture(160, 240, 3), {.orientation = 6});
  PictureSize asked;
  const Image image = decode_jpeg_fast(bytes, "turned.jpg", {}, [&](PictureSize size) {
    asked = size;
    return PictureSize{120, 80};
  });
  EXPECT_EQ(asked.height, 240);
  EXPECT_EQ(asked.width, 160);
  EXPECT_EQ(image.height, 120);
  EXPECT_EQ(image.width, 80);
  EXPECT_LT(mean_difference(image, resize(decode_jpeg(bytes, "exact.jpg"), 120, 80)), 4);
}

TEST(FastJpeg, ReadsFourColours) {
  const auto bytes = sample_jpeg(sample_picture(160, 240, 4), {.ycck = true});
  const Image found = fast(bytes, {80, 120});
  EXPECT_EQ(found.channels, 3);
  EXPECT_LT(mean_difference(found, resize(decode_jpeg(bytes, "exact.jpg"), 80, 120)), 6);
}

TEST(FastJpeg, RefusesDamagedFilesAsTheExactDecoderDoes) {
  auto bytes = sample_jpeg(sample_picture(160, 240, 3));
  bytes.resize(bytes.size() / 2);
  EXPECT_THROW(fast(bytes, {20, 30}), Error);
  EXPECT_THROW(fast({}, {20, 30}), Error);
  EXPECT_THROW(decode_jpeg_fast(sample_jpeg(sample_picture(160, 240, 3)), "large.jpg", {.max_pixels = 1000},
                                [](PictureSize) {
                                  return PictureSize{1, 1};
                                }),
               Error)
      << "what is refused is what the file says, not what is made of it";
}

}  // namespace
}  // namespace tessera
