#include <gtest/gtest.h>

#include <chrono>
#include <random>
#include <thread>

#include "core/error.h"
#include "examples.h"
#include "goldens.h"
#include "support/scratch.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

namespace tessera {
namespace {

using Ids = std::vector<int64_t>;

std::string random_text(std::mt19937& random, size_t length) {
  static const std::vector<std::pair<char32_t, char32_t>> kRanges = {
      {0, 0x7F},      {0x20, 0x7E},   {0x61, 0x7A},     {0x20, 0x20},     {0xA0, 0x24F},      {0x300, 0x36F},
      {0x400, 0x4FF}, {0x900, 0x97F}, {0x4E00, 0x4FFF}, {0xAC00, 0xAD00}, {0x1F300, 0x1F6FF}, {0x10FFF0, 0x10FFFF}};
  std::string text;
  for (size_t i = 0; i < length; ++i) {
    const auto [low, high] = kRanges[random() % kRanges.size()];
    text::append_char(text, low + static_cast<char32_t>(random() % (high - low + 1)));
  }
  return text;
}

std::string random_bytes(std::mt19937& random, size_t length) {
  std::string bytes;
  for (size_t i = 0; i < length; ++i) bytes.push_back(static_cast<char>(random() % 3 ? random() % 256 : 'a'));
  return bytes;
}

std::string stream(const Tokenizer& tokenizer, const Ids& ids, bool skip_special = true) {
  StreamDecoder decoder(tokenizer, skip_special);
  std::string text;
  for (const int64_t id : ids) text += decoder.push(id);
  return text + decoder.finish();
}

TEST(TokenizerProperties, ByteLevelTextSurvivesTheRoundTrip) {
  const Tokenizer tokenizer = parse_tokenizer_json(testing::byte_level_json().dump());
  std::mt19937 random(1);
  for (int i = 0; i < 500; ++i) {
    const std::string text = random_text(random, random() % 60);
    const Encoding encoding = tokenizer.encode(text);
    EXPECT_EQ(tokenizer.decode(encoding.ids), text);
  }
}

TEST(TokenizerProperties, OffsetsCoverAByteLevelTextInOrder) {
  const Tokenizer tokenizer = parse_tokenizer_json(testing::byte_level_json().dump());
  std::mt19937 random(2);
  for (int i = 0; i < 200; ++i) {
    const std::string text = random_text(random, 30);
    int64_t end = 0;
    for (const TextSpan& span : tokenizer.encode(text).offsets) {
      EXPECT_LE(span.begin, end);  // the bytes of one character share its offsets
      EXPECT_LT(span.begin, span.end);
      end = std::max(end, span.end);
    }
    EXPECT_EQ(end, static_cast<int64_t>(text.size()));
  }
}

TEST(TokenizerProperties, IllFormedBytesAreReadAsReplacementCharacters) {
  const Tokenizer tokenizer = parse_tokenizer_json(testing::byte_level_json().dump());
  std::mt19937 random(3);
  for (int i = 0; i < 300; ++i) {
    const std::string bytes = random_bytes(random, random() % 40);
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(bytes).ids), text::to_valid_utf8(bytes));
  }
  EXPECT_EQ(tokenizer
                .encode("a\xFF"
                        "b")
                .offsets.back(),
            (TextSpan{2, 3}));
}

TEST(TokenizerProperties, StreamedTextEqualsTextDecodedAtOnce) {
  std::mt19937 random(4);
  std::vector<Tokenizer> tokenizers = {parse_tokenizer_json(testing::byte_level_json().dump())};
  for (const auto& folder : testing::tokenizer_goldens()) tokenizers.push_back(load_tokenizer(folder));
  for (const Tokenizer& tokenizer : tokenizers) {
    for (int i = 0; i < 60; ++i) {
      const Ids ids = tokenizer.encode(random_text(random, random() % 40)).ids;
      EXPECT_EQ(stream(tokenizer, ids), tokenizer.decode(ids));
    }
  }
}

TEST(TokenizerProperties, StreamedByteLevelTextEqualsTextDecodedAtOnceForAnyIds) {
  const Tokenizer tokenizer = parse_tokenizer_json(testing::byte_level_json().dump());
  std::mt19937 random(5);
  for (int i = 0; i < 200; ++i) {
    Ids ids(random() % 50);
    for (int64_t& id : ids) id = static_cast<int64_t>(random() % 402);
    EXPECT_EQ(stream(tokenizer, ids), tokenizer.decode(ids));
    EXPECT_EQ(stream(tokenizer, ids, false), tokenizer.decode(ids, false));
  }
}

TEST(TokenizerProperties, StreamNeverGivesHalfACharacter) {
  const Tokenizer tokenizer = parse_tokenizer_json(testing::byte_level_json().dump());
  const std::string text = "né 漢字 🇩🇪!";
  StreamDecoder decoder(tokenizer);
  std::string whole;
  for (const int64_t id : tokenizer.encode(text).ids) {
    const std::string piece = decoder.push(id);
    EXPECT_TRUE(text::is_valid_utf8(piece));
    EXPECT_EQ(piece.find("\xEF\xBF\xBD"), std::string::npos);
    whole += piece;
  }
  EXPECT_EQ(whole, text);
  EXPECT_EQ(decoder.finish(), "");
}

TEST(TokenizerProperties, RowsOfABatchEqualSingleEncodings) {
  const Tokenizer tokenizer = parse_tokenizer_json(testing::byte_level_json().dump());
  const std::vector<std::string> texts = {"the cat", "", "the theory of <|end|> it all"};
  const TokenBatch batch = tokenizer.encode_batch(texts);
  ASSERT_EQ(batch.rows, 3);
  ASSERT_EQ(batch.ids.size(), static_cast<size_t>(batch.rows * batch.length));
  for (size_t row = 0; row < texts.size(); ++row) {
    const Encoding single = tokenizer.encode(texts[row]);
    for (size_t i = 0; i < static_cast<size_t>(batch.length); ++i) {
      const size_t at = row * static_cast<size_t>(batch.length) + i;
      EXPECT_EQ(batch.attention_mask[at], i < single.size() ? 1 : 0);
      if (i < single.size()) {
        EXPECT_EQ(batch.ids[at], single.ids[i]);
      }
    }
  }
}

TEST(TokenizerProperties, ManyThreadsGetTheSameIds) {
  const Tokenizer tokenizer = parse_tokenizer_json(testing::byte_level_json().dump());
  std::mt19937 random(6);
  std::vector<std::string> texts;
  for (int i = 0; i < 100; ++i) texts.push_back(random_text(random, 40));
  const Ids want = tokenizer.encode_batch(texts).ids;
  std::vector<Ids> got(4);
  std::vector<std::thread> threads;
  for (Ids& ids : got) threads.emplace_back([&] { ids = tokenizer.encode_batch(texts).ids; });
  for (std::thread& thread : threads) thread.join();
  for (const Ids& ids : got) EXPECT_EQ(ids, want);
}

TEST(TokenizerProperties, ALongWordTakesNoQuadraticTime) {
  const Tokenizer tokenizer = parse_tokenizer_json(testing::byte_level_json().dump());
  const auto start = std::chrono::steady_clock::now();
  std::string text;
  for (int i = 0; i < 300000; ++i) text += "the";
  EXPECT_EQ(tokenizer.encode(text).size(), 300000U);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

TEST(TokenizerProperties, SavedFilesAreTheLoadedBytes) {
  const std::string bytes = testing::byte_level_json().dump(3);
  const testing::Scratch scratch;
  const std::filesystem::path& folder = scratch.path();
  parse_tokenizer_json(bytes).save(folder / "new");
  EXPECT_EQ(testing::read_bytes(folder / "new" / "tokenizer.json"), bytes);
  EXPECT_EQ(load_tokenizer(folder / "new").encode("the cat").ids, parse_tokenizer_json(bytes).encode("the cat").ids);
}

TEST(TokenizerProperties, IdsAndTokensNameEachOther) {
  const Tokenizer tokenizer = parse_tokenizer_json(testing::byte_level_json().dump());
  EXPECT_EQ(tokenizer.token_to_id("<|end|>"), 400);
  EXPECT_EQ(tokenizer.id_to_token(400), "<|end|>");
  EXPECT_EQ(tokenizer.vocab_size(), 401);
  EXPECT_EQ(tokenizer.id_to_token(399), std::nullopt);
  EXPECT_EQ(tokenizer.token_to_id("nowhere"), std::nullopt);
  EXPECT_EQ(tokenizer.special_ids().all, Ids{400});
  EXPECT_EQ(tokenizer.decode(Ids{399, 400}, false), "<|end|>");
  EXPECT_THROW(tokenizer.decode(Ids{-200}), Error);
}

TEST(TokenizerProperties, CharacterOffsetsCountCodePoints) {
  const Tokenizer tokenizer = parse_tokenizer_json(testing::byte_level_json().dump());
  const std::string text = "é the";
  EXPECT_EQ(to_characters(text, tokenizer.encode(text).offsets), (std::vector<TextSpan>{{0, 1}, {0, 1}, {1, 5}}));
}

}  // namespace
}  // namespace tessera
