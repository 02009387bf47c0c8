// Every picture format in every form that it comes in.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "core/error.h"
#include "image_samples.h"
#include "io/gif.h"
#include "io/image.h"
#include "io/transform.h"
#include "support/scratch.h"

#ifdef __SANITIZE_ADDRESS__
// Debian 12's libxml2, under librsvg, loses the text of the entities that a drawing declares.
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() { return "leak:xmlParseEntityValue"; }
#endif

namespace tessera {
namespace {

using testing::ByteVector;
using testing::sample_picture;

Image decode(const ByteVector& bytes, const DecodeOptions& options = {}) {
  return decode_image(bytes, "test", options);
}

Image decode(const std::string& text, const DecodeOptions& options = {}) {
  return decode(ByteVector(text.begin(), text.end()), options);
}

int largest_difference(const Image& a, const Image& b) {
  if (a.height != b.height || a.width != b.width || a.channels != b.channels) return 256;
  int largest = 0;
  for (size_t i = 0; i < a.pixels.size(); ++i) largest = std::max(largest, std::abs(a.pixels[i] - b.pixels[i]));
  return largest;
}

// What sample_gif and palette PNGs show for indices.
Image coloured(const Image& indices) {
  Image rgb(indices.height, indices.width, 3);
  for (size_t i = 0; i < indices.pixels.size(); ++i) {
    const uint8_t index = indices.pixels[i];
    rgb.pixels[3 * i] = index;
    rgb.pixels[3 * i + 1] = static_cast<uint8_t>(255 - index);
    rgb.pixels[3 * i + 2] = index / 2;
  }
  return rgb;
}

std::string message_of(const ByteVector& bytes, const DecodeOptions& options = {}) {
  try {
    decode_image(bytes, "holiday.bin", options);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(ImageJpeg, ColourGreyAndProgressiveComeBackCloseToWhatWasStored) {
  const Image rgb = sample_picture(33, 50, 3), grey = sample_picture(17, 16, 1);
  EXPECT_LE(largest_difference(decode(testing::sample_jpeg(rgb)), rgb), 16);
  EXPECT_LE(largest_difference(decode(testing::sample_jpeg(grey)), grey), 4);
  EXPECT_EQ(decode(testing::sample_jpeg(rgb, {.progressive = true})), decode(testing::sample_jpeg(rgb)));
}

TEST(ImageJpeg, CmykIsReadAsAdobeStoresItAndAsPilConvertsIt) {
  Image ink(8, 8, 4);  // inverted: 255 is no ink
  for (size_t i = 0; i < ink.pixels.size(); ++i) ink.pixels[i] = i % 4 == 1 ? 0 : 255;
  const Image rgb = decode(testing::sample_jpeg(ink, {.quality = 100}));
  EXPECT_EQ(rgb.channels, 3);
  EXPECT_NEAR(rgb.at(3, 3, 0), 255, 2);  // magenta ink takes the green away
  EXPECT_NEAR(rgb.at(3, 3, 1), 0, 2);
  EXPECT_NEAR(rgb.at(3, 3, 2), 255, 2);
  EXPECT_LE(largest_difference(decode(testing::sample_jpeg(ink, {.quality = 100, .ycck = true})), rgb), 3);
}

TEST(ImageJpeg, AMissingEndMarkerIsForgivenButNotMissingData) {
  ByteVector bytes = testing::sample_jpeg(sample_picture(24, 24, 3));
  const Image whole = decode(bytes);
  bytes.resize(bytes.size() - 2);
  EXPECT_EQ(decode(bytes), whole);
  bytes.resize(bytes.size() * 3 / 4);
  EXPECT_THROW(decode(bytes), Error);
}

TEST(ImageJpeg, AProgressiveFileThatLacksItsLastScansIsAnError) {
  const ByteVector bytes = testing::sample_jpeg(sample_picture(40, 40, 3), {.progressive = true});
  EXPECT_THROW(decode(ByteVector(bytes.begin(), bytes.end() - 2)), Error);
}

TEST(ImagePng, EveryColourTypeComesBackExactly) {
  for (const int64_t channels : {1, 3, 4}) {
    const Image image = sample_picture(11, 13, channels);
    EXPECT_EQ(decode(testing::sample_png(image)), image);
    EXPECT_EQ(decode(testing::sample_png(image, {.interlaced = true})), image);
    EXPECT_EQ(decode(testing::sample_png(image, {.depth = 16})), image) << "16 bits keep their high byte";
    EXPECT_EQ(decode(encode_png(image)), image);
  }
}

TEST(ImagePng, GreyWithAlphaBecomesRgba) {
  const Image image = sample_picture(5, 6, 2);
  const Image rgba = decode(testing::sample_png(image));
  ASSERT_EQ(rgba.channels, 4);
  for (const int64_t c : {0, 1, 2}) EXPECT_EQ(rgba.at(4, 5, c), image.at(4, 5, 0));
  EXPECT_EQ(rgba.at(4, 5, 3), image.at(4, 5, 1));
}

TEST(ImagePng, PalettesAreLookedUpAtEveryDepth) {
  for (const int depth : {1, 2, 4, 8}) {
    Image indices = sample_picture(6, 9, 1);
    for (uint8_t& index : indices.pixels) index = static_cast<uint8_t>(index & ((1 << depth) - 1));
    EXPECT_EQ(decode(testing::sample_png(indices, {.depth = depth, .palette = true})), coloured(indices)) << depth;
  }
}

TEST(ImagePng, SmallGreyDepthsAreSpreadOverTheRange) {
  Image grey(1, 4, 1);
  grey.pixels = {0, 1, 2, 3};
  EXPECT_EQ(decode(testing::sample_png(grey, {.depth = 2})).pixels, (ByteVector{0, 85, 170, 255}));
}

TEST(ImagePng, TransparentColoursBecomeAlpha) {
  const Image rgb = sample_picture(5, 5, 3);
  const Image rgba = decode(testing::sample_png(rgb, {.transparency = true}));
  ASSERT_EQ(rgba.channels, 4);
  EXPECT_EQ(rgba.at(0, 0, 3), 0);
  EXPECT_EQ(rgba.at(3, 4, 3), 255);
  EXPECT_EQ(convert_rgb(rgba), rgb);
  Image indices(1, 2, 1);
  indices.pixels = {0, 7};
  const Image looked_up = decode(testing::sample_png(indices, {.palette = true, .transparency = true}));
  EXPECT_EQ(looked_up.pixels, (ByteVector{0, 255, 0, 0, 7, 248, 3, 255}));
}

TEST(ImageWebp, LosslessIsExactAndLossyClose) {
  Image rgba = sample_picture(20, 30, 4);
  const Image rgb = sample_picture(20, 30, 3);
  EXPECT_EQ(decode(testing::sample_webp(rgb)), rgb);
  EXPECT_EQ(decode(testing::sample_webp(rgba)), rgba);
  EXPECT_LE(largest_difference(decode(testing::sample_webp(rgb, false)), rgb), 40);
}

TEST(ImageWebp, AnAnimationGivesItsFirstFrame) {
  Image first = sample_picture(12, 9, 4);
  EXPECT_EQ(decode(testing::sample_webp_animation({first, sample_picture(12, 9, 4)})), first);
}

TEST(ImageGif, AFullFrameIsRgb) {
  const Image indices = sample_picture(9, 14, 1);
  EXPECT_EQ(decode(testing::sample_gif(9, 14, {{indices}})), coloured(indices));
  EXPECT_EQ(decode(testing::sample_gif(9, 14, {{indices, 0, 0, -1, 0, true}})), coloured(indices)) << "interlaced";
}

TEST(ImageGif, TransparentAndUncoveredPixelsHaveNoAlpha) {
  const Image indices = sample_picture(3, 4, 1);
  const Image shown = decode(testing::sample_gif(5, 6, {{indices, 1, 2, indices.pixels[0]}}));
  ASSERT_EQ(shown.channels, 4);
  EXPECT_EQ(shown.at(0, 0, 3), 0);
  EXPECT_EQ(shown.at(1, 2, 3), 0);
  EXPECT_EQ(shown.at(3, 5, 3), 255);
  EXPECT_EQ(shown.at(3, 5, 0), indices.at(2, 3, 0));
}

TEST(ImageGif, FramesAreShownWithTheirDisposal) {
  Image full(2, 2, 1), dot(1, 1, 1);
  full.pixels.assign(4, 10);
  dot.pixels = {200};
  constexpr int kKeep = 1, kClear = 2, kRestore = 3;
  const ByteVector gif = testing::sample_gif(
      2, 2, {{full, 0, 0, -1, kKeep}, {dot, 0, 0, -1, kRestore}, {dot, 0, 1, -1, kClear}, {dot, 1, 0, -1, kKeep}});
  const std::vector<Image> frames = decode_frames(gif, "test");
  ASSERT_EQ(frames.size(), 4u);
  EXPECT_EQ(frames[1].at(0, 0, 0), 200);
  EXPECT_EQ(frames[2].at(0, 0, 0), 10) << "the second frame was taken back";
  EXPECT_EQ(frames[2].at(0, 1, 0), 200);
  ASSERT_EQ(frames[3].channels, 4);
  EXPECT_EQ(frames[3].at(0, 1, 3), 0) << "the third frame was cleared";
  EXPECT_EQ(frames[3].at(1, 0, 0), 200);
}

TEST(ImageGif, AFrameOverTheEdgeIsClipped) {
  const Image indices = sample_picture(6, 6, 1);
  const Image shown = decode(testing::sample_gif(4, 4, {{indices, 2, 2}}));
  EXPECT_EQ(shown.height, 4);
  EXPECT_EQ(shown.at(3, 3, 0), indices.at(1, 1, 0));
}

TEST(ImageGif, FramesTogetherStayUnderTheLimit) {
  const Image indices = sample_picture(10, 10, 1);
  const ByteVector gif = testing::sample_gif(10, 10, {{indices}, {indices}, {indices}});
  EXPECT_EQ(decode_frames(gif, "test", {.max_pixels = 300}).size(), 3u);
  EXPECT_THROW(decode_frames(gif, "test", {.max_pixels = 299}), Error);
  EXPECT_EQ(decode_gif(gif, "test", {.max_pixels = 100}, 1).size(), 1u);
}

const std::string kSvg =
    "<svg xmlns='http://www.w3.org/2000/svg' xmlns:xlink='http://www.w3.org/1999/xlink' width='20' height='10'>";

TEST(ImageSvg, IsDrawnOnATransparentBackgroundInStraightAlpha) {
  const Image image = decode(kSvg + "<rect width='10' height='10' fill='#ff8000' fill-opacity='0.5'/></svg>");
  EXPECT_EQ(image.height, 10);
  EXPECT_EQ(image.width, 20);
  ASSERT_EQ(image.channels, 4);
  EXPECT_NEAR(image.at(5, 5, 0), 255, 1);
  EXPECT_NEAR(image.at(5, 5, 1), 128, 2);
  EXPECT_NEAR(image.at(5, 5, 3), 128, 1);
  EXPECT_EQ(image.at(5, 15, 3), 0);
}

TEST(ImageSvg, FillsTheBoxThatWasAskedForWithItsAspectKept) {
  const std::string svg = kSvg + "<rect width='20' height='10'/></svg>";
  const auto size = [&](int64_t height, int64_t width) {
    const Image image = decode(svg, {.svg_height = height, .svg_width = width});
    return std::pair(image.height, image.width);
  };
  EXPECT_EQ(size(0, 100), std::pair(int64_t{50}, int64_t{100}));
  EXPECT_EQ(size(100, 0), std::pair(int64_t{100}, int64_t{200}));
  EXPECT_EQ(size(100, 100), std::pair(int64_t{50}, int64_t{100}));
}

TEST(ImageSvg, TakesItsSizeFromTheViewBox) {
  const Image image = decode(std::string("<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 30 40'></svg>"));
  EXPECT_EQ(image.height, 40);
  EXPECT_EQ(image.width, 30);
}

TEST(ImageSvg, LoadsNoOtherFile) {
  const testing::Scratch scratch;
  const std::filesystem::path red = scratch / "red.png";
  Image square(10, 10, 3);
  for (size_t i = 0; i < square.pixels.size(); i += 3) square.pixels[i] = 255;
  write_png(square, red);
  const Image image = decode(kSvg + "<image xlink:href='file://" + red.string() + "' width='10' height='10'/></svg>");
  EXPECT_EQ(image.at(5, 5, 3), 0);
}

TEST(ImageSvg, EntityBombsAreRefused) {
  std::string bomb = "<?xml version='1.0'?><!DOCTYPE svg [<!ENTITY a 'aaaaaaaaaaaaaaaaaaaa'>";
  for (char name = 'b'; name <= 'k'; ++name) {
    bomb += std::string("<!ENTITY ") + name + " '";
    for (int i = 0; i < 20; ++i) bomb += std::string("&") + static_cast<char>(name - 1) + ";";
    bomb += "'>";
  }
  EXPECT_THROW(decode(bomb + "]>" + kSvg + "<text>&k;</text></svg>"), Error);
}

TEST(ImageSvg, AnAbsurdSizeIsRefused) {
  EXPECT_THROW(decode(std::string("<svg xmlns='http://www.w3.org/2000/svg' width='1e8' height='1e8'/>")), Error);
  EXPECT_THROW(decode(std::string("<svg xmlns='http://www.w3.org/2000/svg' width='100000' height='1'/>")), Error)
      << "longer than the drawing library's rows";
}

TEST(Image, TheTypeComesFromTheContentNotTheName) {
  const Image image = sample_picture(6, 7, 3);
  const testing::Scratch scratch;
  const std::filesystem::path path = scratch / "mislabelled.jpg";
  write_png(image, path);
  EXPECT_EQ(read_image(path), image);
}

TEST(Image, ErrorsNameTheFileTheProblemAndTheRemedy) {
  EXPECT_EQ(message_of({}), "holiday.bin: the file is empty; give a picture");
  EXPECT_EQ(message_of({'h', 'e', 'l', 'l', 'o'}),
            "holiday.bin: the content is no picture of a known type; give a JPEG, PNG, WebP, GIF or SVG file");
  EXPECT_THROW(read_image("/nowhere/picture.png"), Error);
  EXPECT_THROW(read_image("/"), Error);
}

TEST(Image, AHugeHeaderIsRefusedBeforeAnythingIsAllocated) {
  // IHDR of 100 000 x 100 000, with its checksum, in a file that has nothing else.
  const ByteVector png{0x89, 'P',  'N',  'G',  '\r', '\n', 0x1A, '\n', 0, 0, 0, 13, 'I', 'H', 'D', 'R',
                       0,    0x01, 0x86, 0xA0, 0,    0x01, 0x86, 0xA0, 8, 2, 0, 0,  0,   0,   0,   0};
  EXPECT_NE(message_of(png), "no error");
  const ByteVector gif{'G', 'I', 'F', '8',  '9', 'a', 0xFF, 0xFF, 0xFF, 0xFF, 0x80, 0,    0, 1, 2, 3,
                       4,   5,   6,   0x2C, 0,   0,   0,    0,    0xFF, 0xFF, 0xFF, 0xFF, 0, 8, 0};
  EXPECT_NE(message_of(gif).find("65535 x 65535, more than"), std::string::npos) << message_of(gif);
  ByteVector jpeg = testing::sample_jpeg(sample_picture(8, 8, 3));
  for (size_t i = 0; i + 8 < jpeg.size(); ++i) {
    if (jpeg[i] == 0xFF && jpeg[i + 1] == 0xC0) std::fill_n(jpeg.begin() + static_cast<ptrdiff_t>(i) + 5, 4, 0xF0);
  }
  EXPECT_NE(message_of(jpeg).find("61680 x 61680, more than"), std::string::npos) << message_of(jpeg);
}

TEST(Image, TheLimitIsExact) {
  for (const ByteVector& bytes :
       {testing::sample_png(sample_picture(10, 10, 3)), testing::sample_jpeg(sample_picture(10, 10, 3)),
        testing::sample_webp(sample_picture(10, 10, 3))}) {
    EXPECT_NO_THROW(decode(bytes, {.max_pixels = 100}));
    EXPECT_NE(message_of(bytes, {.max_pixels = 99}).find("10 x 10, more than 99 pixels"), std::string::npos);
  }
}

}  // namespace
}  // namespace tessera
