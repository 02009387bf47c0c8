#include "data/emoji_font.h"

#include "fixtures.h"
#include "io/svg.h"

namespace tessera {
namespace {

const std::filesystem::path kDejaVu = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf";

class EmojiFont : public ::testing::Test {
 protected:
  std::filesystem::path package(const std::string& member, const std::string& content) {
    write_package(folder_.path(), "made-up-1.0.0.tgz",
                  {{"name", "@fonts/made-up"}, {"version", "1.0.0"}, {"license", "OFL-1.1"}}, {{member, content}});
    return folder_ / "made-up-1.0.0.tgz";
  }
  testing::Scratch folder_;
};

Symbol symbol(const std::string& id, const std::string& character) {
  Symbol result;
  result.id = id;
  result.character = character;
  return result;
}

TEST_F(EmojiFont, DrawsWhatItHasASingleGlyphFor) {
  if (!std::filesystem::exists(kDejaVu)) GTEST_SKIP() << "needs Debian's fonts-dejavu-core";
  const std::map<std::string, Symbol> symbols = {
      {"25a0", symbol("25a0", "■")}, {"two", symbol("two", "ab")}, {"1f9ff", symbol("1f9ff", "🧿")}};
  const IconSet set = read_emoji_font(package("400Regular/DejaVu_400Regular.ttf", read_file(kDejaVu)), symbols);
  EXPECT_EQ(set.prefix, "made-up-font");
  EXPECT_EQ(set.licence, "OFL-1.1");
  ASSERT_EQ(set.icons.size(), 1u) << "neither two glyphs nor the glyph of what is missing";
  EXPECT_EQ(set.icons[0].symbol, "25a0");
  const std::string& svg = set.icons[0].svg;
  const Image image = decode_svg(Bytes(reinterpret_cast<const uint8_t*>(svg.data()), svg.size()), "glyph");
  ASSERT_EQ(image.height, image.width);
  EXPECT_EQ(image.at(image.height / 2, image.width / 2, 3), 255) << "a black square";
  EXPECT_EQ(image.at(0, 0, 3), 0);
}

TEST_F(EmojiFont, WhatIsNoFontIsSaidToBeNone) {
  EXPECT_THROW(read_emoji_font(package("readme.txt", "no font"), {}), Error);
  EXPECT_THROW(read_emoji_font(package("A_400Regular.ttf", "no font"), {}), Error);
}

}  // namespace
}  // namespace tessera
