#include <gtest/gtest.h>

#include "goldens.h"
#include "text/tokenizer.h"

namespace tessera {
namespace {

using testing::read_cases;
using Ids = std::vector<int64_t>;

#define REQUIRE_GOLDENS() \
  if (testing::tokenizer_goldens().empty()) GTEST_SKIP() << "no recorded tokenizers beside the sources"

// The recordings of SentencePiece itself hold fewer fields than those of the tokenizers library.
void expect_case(const Tokenizer& tokenizer, const nlohmann::json& want) {
  const std::string text = want["text"];
  const Encoding got = tokenizer.encode(text);
  EXPECT_EQ(got.ids, want["ids"].get<Ids>());
  EXPECT_EQ(got.tokens, want["tokens"].get<std::vector<std::string>>());
  if (want.contains("type_ids")) {
    EXPECT_EQ(got.type_ids, want["type_ids"].get<Ids>());
  }
  if (want.contains("ids_without_special")) {
    EXPECT_EQ(tokenizer.encode(text, false).ids, want["ids_without_special"].get<Ids>());
  }
  EXPECT_EQ(tokenizer.decode(got.ids, false), want["decoded"]);
  if (want.contains("decoded_skip_special")) {
    EXPECT_EQ(tokenizer.decode(got.ids), want["decoded_skip_special"]);
  }
}

TEST(TokenizerGoldens, EveryTextEncodesAndDecodesAsRecorded) {
  REQUIRE_GOLDENS();
  for (const auto& folder : testing::tokenizer_goldens()) {
    const Tokenizer tokenizer = load_tokenizer(folder);
    for (const auto& want : read_cases(folder, "single")) {
      SCOPED_TRACE(folder.filename().string() + ": " + want["text"].dump());
      expect_case(tokenizer, want);
    }
  }
}

TEST(TokenizerGoldens, EveryPairEncodesAsRecorded) {
  REQUIRE_GOLDENS();
  for (const auto& folder : testing::tokenizer_goldens()) {
    const Tokenizer tokenizer = load_tokenizer(folder);
    for (const auto& want : read_cases(folder, "pair")) {
      SCOPED_TRACE(folder.filename().string() + ": " + want["text"].dump());
      const Encoding got = tokenizer.encode_pair(want["text"].get<std::string>(), want["pair"].get<std::string>());
      EXPECT_EQ(got.ids, want["ids"].get<Ids>());
      EXPECT_EQ(got.type_ids, want["type_ids"].get<Ids>());
    }
  }
}

// A text that spells a special token is an exception: only tokenizer.json finds the token in it.
TEST(TokenizerGoldens, SentencePieceModelGivesTheIdsOfItsConversion) {
  REQUIRE_GOLDENS();
  int compared = 0;
  for (const auto& folder : testing::tokenizer_goldens()) {
    if (!std::filesystem::exists(folder / "tokenizer.model")) continue;
    const Tokenizer tokenizer = load_tokenizer(folder / "tokenizer.model");
    for (const auto& want : read_cases(folder, "single")) {
      const std::string text = want["text"];
      if (text.find("<s>") != std::string::npos) continue;
      SCOPED_TRACE(folder.filename().string() + ": " + want["text"].dump());
      const char* key = want.contains("ids_without_special") ? "ids_without_special" : "ids";
      EXPECT_EQ(tokenizer.encode(text, false).ids, want[key].get<Ids>());
      ++compared;
    }
  }
  EXPECT_GT(compared, 0);
}

}  // namespace
}  // namespace tessera
