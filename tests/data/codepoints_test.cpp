#include "data/codepoints.h"

#include "fixtures.h"

namespace tessera {

TEST(Codepoints, SpellingsOfASequenceAreOne) {
  EXPECT_EQ(symbol_id("1F600"), "1f600");
  EXPECT_EQ(symbol_id("0023-FE0F-20E3"), "23-20e3");
  EXPECT_EQ(symbol_id("U+1F469_200D_1F52C"), "1f469-200d-1f52c");
  EXPECT_EQ(symbol_id("grinning-face"), "");
  EXPECT_EQ(symbol_id("110000"), "");
  EXPECT_EQ(symbol_id_of_text("#️⃣"), "23-20e3");
  EXPECT_EQ(symbol_text("1f600"), "😀");
  EXPECT_EQ(symbol_text("e9-a9"), "é©");
}

TEST(Codepoints, BadTextIsAnError) {
  for (const char* bad : {"\xff", "\xe2\x82", "\xc3(", "\xf0\x9f\x98"})
    EXPECT_NE(testing::error_of([&] { symbol_id_of_text(bad); }).find("UTF-8"), std::string::npos);
  EXPECT_NE(testing::error_of([] { symbol_text("xyz"); }).find("xyz"), std::string::npos);
}

TEST(Codepoints, SkinToneIsAModifierThatFollows) {
  EXPECT_TRUE(has_skin_tone("1f44b-1f3fd"));
  EXPECT_FALSE(has_skin_tone("1f3fd"));
  EXPECT_EQ(without_skin_tone("1f9d1-1f3ff-200d-1f3a8"), "1f9d1-200d-1f3a8");
}

// The hold-out is part of every published number: it must never move.
TEST(Codepoints, HashAndHoldOutAreFixed) {
  EXPECT_EQ(fnv1a64(""), 0xcbf29ce484222325u);
  EXPECT_EQ(fnv1a64("a"), 0xaf63dc4c8601ec8cu);
  EXPECT_EQ(fnv1a64("foobar"), 0x85944171f73967e8u);
  for (const char* id : {"1f600", "1f525", "2764", "23-20e3"}) EXPECT_FALSE(is_unseen(id)) << id;
  for (const char* id : {"1f44b", "1f34c", "1f349", "1f1e9-1f1ea"}) EXPECT_TRUE(is_unseen(id)) << id;
}

}  // namespace tessera
