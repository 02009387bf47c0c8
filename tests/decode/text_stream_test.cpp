#include "decode/text_stream.h"

#include <gmock/gmock.h>

#include "text/examples.h"

namespace tessera {
namespace {

Tokenizer byte_tokenizer() { return parse_tokenizer_json(testing::byte_level_json().dump()); }

/// What is given out piece by piece; each piece is whole characters.
std::vector<std::string> pieces_of(TextStream& stream, const std::vector<int64_t>& ids) {
  std::vector<std::string> pieces;
  for (const int64_t id : ids)
    if (!stream.stopped()) pieces.push_back(stream.push(id));
  pieces.push_back(stream.finish());
  return pieces;
}

std::string joined(const std::vector<std::string>& pieces) {
  std::string all;
  for (const std::string& piece : pieces) all += piece;
  return all;
}

TEST(TextStream, GivesOutTheWholeTextInWholeCharacters) {
  const Tokenizer tokenizer = byte_tokenizer();
  for (const std::string text : {"the cat", "na\u00efve \u4e16\u754c \U0001F600!", " the", "", "\n\n"}) {
    TextStream stream(tokenizer, {});
    const auto pieces = pieces_of(stream, tokenizer.encode(text).ids);
    EXPECT_EQ(joined(pieces), text);
    for (const std::string& piece : pieces) EXPECT_TRUE(nlohmann::json(piece).dump().size() > 0) << "valid UTF-8";
  }
}

TEST(TextStream, AStopStringAcrossTokensIsCutExactly) {
  const Tokenizer tokenizer = byte_tokenizer();
  const std::string text = "one two\u00e9 STSTOP three";
  const auto ids = tokenizer.encode(text).ids;
  for (const std::string stop : {"STOP", "\u00e9", "o", " three", "one", "STSTOP t", "e two\u00e9 S"}) {
    TextStream stream(tokenizer, {stop, "never"});
    EXPECT_EQ(joined(pieces_of(stream, ids)), text.substr(0, text.find(stop))) << stop;
    EXPECT_TRUE(stream.stopped());
  }
}

TEST(TextStream, WhatOnlyBeganLikeAStopStringIsGivenOutInTheEnd) {
  const Tokenizer tokenizer = byte_tokenizer();
  TextStream stream(tokenizer, {"abcd"});
  std::string early;
  for (const int64_t id : tokenizer.encode("xababc").ids) early += stream.push(id);
  EXPECT_EQ(early, "xab");
  EXPECT_EQ(stream.finish(), "abc");
}

TEST(TextStream, TheFirstOfSeveralStopsCounts) {
  const Tokenizer tokenizer = byte_tokenizer();
  TextStream stream(tokenizer, {"dog", "cat"});
  EXPECT_EQ(joined(pieces_of(stream, tokenizer.encode("a cat, a dog").ids)), "a ");
}

TEST(TextStream, AnEmptyStopIsAnError) { EXPECT_THROW(TextStream(byte_tokenizer(), {""}), Error); }

TEST(TokenBytes, AreThoseOfTheTextWhateverTheTokenizer) {
  const Tokenizer tokenizer = byte_tokenizer();
  const TokenBytes bytes(tokenizer);
  const std::string text = "the na\u00efve \U0001F600 the";
  std::string all;
  for (const int64_t id : tokenizer.encode(text).ids) all += bytes.of(id);
  EXPECT_EQ(all, text);
  EXPECT_EQ(bytes.of(400), "") << "a special token stands for no text";
}

}  // namespace
}  // namespace tessera
