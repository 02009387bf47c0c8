#include "data/colours.h"

#include <gtest/gtest.h>

#include <set>

#include "data/pictures.h"

namespace tessera {
namespace {

/// A drawing of one colour on nothing, premultiplied.
Image drawing_of(uint8_t red, uint8_t green, uint8_t blue, uint8_t alpha = 255) {
  Image image(4, 4, 4);
  for (int64_t i = 0; i < 2; ++i) {
    const uint8_t channels[] = {red, green, blue, alpha};
    for (int64_t c = 0; c < 4; ++c) image.at(1, i, c) = channels[c];
  }
  return premultiply(image);
}

TEST(RecolouredTest, ADrawingTakesEveryColourAndKeepsItsShape) {
  Random random(1);
  const Image red = drawing_of(220, 30, 30, 200);
  std::set<std::string> colours;
  for (int i = 0; i < 200; ++i) {
    const Image other = recoloured(red, random);
    for (size_t at = 3; at < red.pixels.size(); at += 4) ASSERT_EQ(other.pixels[at], red.pixels[at]);
    for (size_t at = 0; at < red.pixels.size(); ++at) ASSERT_LE(other.pixels[at], other.pixels[at / 4 * 4 + 3]);
    colours.insert(main_colour(other).value());
  }
  for (const char* common : {"red", "green", "blue", "purple", "yellow"})
    EXPECT_TRUE(colours.contains(common)) << common;
}

TEST(RecolouredTest, GreyStaysGrey) {
  Random random(2);
  for (int i = 0; i < 50; ++i) {
    const Image grey = recoloured(drawing_of(128, 128, 128), random);
    EXPECT_EQ(grey.at(1, 0, 0), grey.at(1, 0, 1));
    EXPECT_EQ(grey.at(1, 0, 1), grey.at(1, 0, 2));
  }
}

TEST(RecolouredTest, PixelsOfOneColourHaveOneColourAfterwards) {
  Random random(3);
  const Image two = recoloured(drawing_of(40, 90, 200), random);
  for (int64_t c = 0; c < 4; ++c) EXPECT_EQ(two.at(1, 0, c), two.at(1, 1, c));
}

}  // namespace
}  // namespace tessera
