// Pictures from outside may be cut short or damaged: an Error, and never a crash or a made-up picture.
#include <gtest/gtest.h>

#include <chrono>
#include <random>

#include "core/error.h"
#include "image_samples.h"
#include "io/exif.h"
#include "io/image.h"

namespace tessera {
namespace {

using testing::ByteVector;

TEST(ImageDamage, AFileCutAtAnyByteIsAnErrorOrTheWholePicture) {
  for (const auto& [name, bytes] : testing::all_samples()) {
    const Image whole = decode_image(bytes, name);
    size_t forgiven = 0;
    for (size_t size = 0; size < bytes.size(); ++size) {
      const ByteVector cut(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(size));
      try {
        ASSERT_EQ(decode_image(cut, name), whole) << name << " cut at " << size;
        ++forgiven;
      } catch (const Error&) {
      }
    }
    // An animation's later frames are not needed; elsewhere only trailing markers may be missing.
    if (name.find("animation") == std::string::npos) {
      EXPECT_LE(forgiven, 8u) << name;
    }
  }
}

TEST(ImageDamage, DamagedBytesNeverCrash) {
  const auto samples = testing::all_samples();
  std::mt19937_64 random(20240501);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(3);
  DecodeOptions options;
  options.max_pixels = 1 << 16;
  int64_t decoded = 0, refused = 0;
  while (std::chrono::steady_clock::now() < deadline) {
    ByteVector bytes = samples[random() % samples.size()].second;
    for (uint64_t edits = 1 + random() % 6; edits > 0; --edits) {
      bytes[random() % bytes.size()] = static_cast<uint8_t>(random());
    }
    if (random() % 4 == 0) bytes.resize(random() % bytes.size());
    try {
      for (const Image& image : decode_frames(bytes, "damaged", options)) EXPECT_FALSE(image.empty());
      ++decoded;
    } catch (const Error&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, decoded / 100);
  EXPECT_GT(decoded, 0);
}

TEST(ImageExif, AllEightOrientationsStandUpright) {
  Image image(2, 3, 1);
  image.pixels = {1, 2, 3,  //
                  4, 5, 6};
  const std::vector<std::vector<uint8_t>> upright = {{1, 2, 3, 4, 5, 6}, {3, 2, 1, 6, 5, 4}, {6, 5, 4, 3, 2, 1},
                                                     {4, 5, 6, 1, 2, 3}, {1, 4, 2, 5, 3, 6}, {4, 1, 5, 2, 6, 3},
                                                     {6, 3, 5, 2, 4, 1}, {3, 6, 2, 5, 1, 4}};
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const Image turned = oriented(image, orientation);
    EXPECT_EQ(turned.pixels, upright[static_cast<size_t>(orientation - 1)]) << orientation;
    EXPECT_EQ(turned.height, orientation < 5 ? 2 : 3) << orientation;
  }
}

TEST(ImageExif, TheOrientationOfEveryFormatIsAppliedUnlessItIsTurnedOff) {
  const Image image = testing::sample_picture(6, 9, 3);
  for (int orientation = 1; orientation <= 8; ++orientation) {
    for (const ByteVector& bytes :
         {testing::sample_png(image, {.orientation = orientation}), testing::sample_webp_with_exif(image, orientation),
          testing::sample_jpeg(image, {.orientation = orientation})}) {
      const Image stored = decode_image(bytes, "test", {.orient = false});
      EXPECT_EQ(stored.height, 6);
      EXPECT_EQ(decode_image(bytes, "test"), oriented(stored, orientation)) << orientation;
    }
  }
}

TEST(ImageExif, BothByteOrdersAreRead) {
  for (int orientation = 1; orientation <= 8; ++orientation) {
    EXPECT_EQ(exif_orientation(testing::exif_block(orientation, false)), orientation);
    EXPECT_EQ(exif_orientation(testing::exif_block(orientation, true)), orientation);
  }
}

TEST(ImageExif, MalformedBlocksAreUpright) {
  EXPECT_EQ(exif_orientation({}), 1);
  EXPECT_EQ(exif_orientation(testing::exif_block(0)), 1);
  EXPECT_EQ(exif_orientation(testing::exif_block(9)), 1);
  for (size_t size = 0; size < 20; ++size) {
    ByteVector block = testing::exif_block(6);
    block.resize(size);
    EXPECT_EQ(exif_orientation(block), 1) << size;
  }
  ByteVector far = testing::exif_block(6);
  far[4] = far[5] = far[6] = far[7] = 0xFF;  // a directory far outside
  EXPECT_EQ(exif_orientation(far), 1);
}

}  // namespace
}  // namespace tessera
