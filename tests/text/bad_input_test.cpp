#include <gtest/gtest.h>

#include <chrono>
#include <random>

#include "core/error.h"
#include "examples.h"
#include "goldens.h"
#include "support/scratch.h"
#include "text/tokenizer.h"

namespace tessera {
namespace {

using testing::Json;

// What the error says, or that there was none.
std::string problem_of(const Json& document) {
  try {
    parse_tokenizer_json(document.dump());
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

// A damaged file may still be a tokenizer; then it has to work, or fail as an Error.
void load_and_use(const std::string& bytes, bool sentencepiece) {
  try {
    const Tokenizer tokenizer = sentencepiece ? parse_sentencepiece(bytes) : parse_tokenizer_json(bytes);
    const Encoding encoding = tokenizer.encode_pair("The naïve café, 漢字 🇩🇪 12", "b\xFF  c\n");
    tokenizer.decode(encoding.ids, false);
  } catch (const Error&) {
  }
}

Json small_unigram() {
  return Json::parse(R"({
    "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFKC"}, {"type": "Nmt"}]},
    "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"},
    "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"},
    "post_processor": {"type": "TemplateProcessing",
      "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}],
      "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
      "special_tokens": {"</s>": {"id": "</s>", "ids": [1], "tokens": ["</s>"]}}},
    "model": {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0.0], ["</s>", 0.0], ["▁a", -2.5], ["b", -3.5]]}
  })");
}

TEST(TokenizerBadInput, TheOriginalsOfTheseTestsLoad) {
  EXPECT_EQ(problem_of(testing::byte_level_json()), "no error");
  EXPECT_EQ(problem_of(small_unigram()), "no error");
}

TEST(TokenizerBadInput, EveryTruncationOfATokenizerJsonIsAnError) {
  for (const std::string& bytes : {testing::byte_level_json().dump(), small_unigram().dump(1)}) {
    for (size_t length = 0; length < bytes.size(); ++length) {
      EXPECT_THROW(parse_tokenizer_json(bytes.substr(0, length)), Error) << length;
    }
  }
}

TEST(TokenizerBadInput, UnknownComponentIsNamedWithItsPlace) {
  for (const char* stage : {"normalizer", "pre_tokenizer", "post_processor", "decoder", "model"}) {
    Json document = testing::byte_level_json();
    document[stage] = {{"type", "Crystal"}};
    const std::string problem = problem_of(document);
    EXPECT_NE(problem.find("Crystal"), std::string::npos) << problem;
    EXPECT_NE(problem.find(std::string("tokenizer.json: ") + stage), std::string::npos) << problem;
  }
  Json document = testing::byte_level_json();
  document["normalizer"] = {{"type", "Sequence"}, {"normalizers", {{{"type", "NFC"}}, {{"type", "Crystal"}}}}};
  EXPECT_NE(problem_of(document).find("normalizer.normalizers[1]"), std::string::npos);
}

TEST(TokenizerBadInput, MistakesInTheModelNameTheirPlace) {
  Json document = testing::byte_level_json();
  document["model"]["merges"][1] = "th zz";
  EXPECT_NE(problem_of(document).find("model.merges[1]: token 'zz'"), std::string::npos);
  document["model"]["merges"][1] = "three whole words";
  EXPECT_NE(problem_of(document).find("model.merges[1]"), std::string::npos);
  document = testing::byte_level_json();
  document["model"]["vocab"]["a"] = 4000000000;
  EXPECT_NE(problem_of(document).find("model.vocab"), std::string::npos);
  document = small_unigram();
  document["model"]["unk_id"] = 4;
  EXPECT_NE(problem_of(document).find("model.unk_id"), std::string::npos);
  document = small_unigram();
  document["pre_tokenizer"]["prepend_scheme"] = "sometimes";
  EXPECT_NE(problem_of(document).find("sometimes"), std::string::npos);
  document["pre_tokenizer"] = {{"type", "Split"}, {"pattern", testing::regex("(")}, {"behavior", "Isolated"}};
  EXPECT_NE(problem_of(document).find("pre_tokenizer.pattern.Regex"), std::string::npos);
}

TEST(TokenizerBadInput, MutatedTokenizerJsonIsATokenizerOrAnError) {
  std::mt19937 random(7);
  const std::vector<std::string> originals = {testing::byte_level_json().dump(), small_unigram().dump()};
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 3000 && std::chrono::steady_clock::now() - start < std::chrono::seconds(5); ++i) {
    std::string bytes = originals[random() % originals.size()];
    for (unsigned k = 0; k <= random() % 4; ++k) {
      const size_t at = random() % bytes.size();
      if (random() % 2) {
        bytes[at] = static_cast<char>(random() % 256);
      } else {
        bytes[at] = "0123456789{}[]\",:"[random() % 17];
      }
    }
    load_and_use(bytes, false);
  }
}

// Replaces values rather than bytes, so that the damage gets past the JSON parser.
TEST(TokenizerBadInput, MutatedValuesGiveATokenizerOrAnError) {
  std::mt19937 random(8);
  const std::vector<Json> originals = {testing::byte_level_json(), small_unigram()};
  const std::vector<Json> values = {nullptr, true, -1,         1e300,         70000,
                                    "",      "x",  "Sequence", Json::array(), Json::object()};
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 2000 && std::chrono::steady_clock::now() - start < std::chrono::seconds(5); ++i) {
    Json document = originals[random() % originals.size()];
    const Json flat = document.flatten();
    auto entry = flat.begin();
    std::advance(entry, static_cast<std::ptrdiff_t>(random() % flat.size()));
    Json::json_pointer place(entry.key());
    for (auto up = random() % 3; up > 0 && !place.empty(); --up) place = place.parent_pointer();
    document[place] = values[random() % values.size()];
    load_and_use(document.dump(), false);
  }
}

TEST(TokenizerBadInput, DamagedSentencePieceModelIsAModelOrAnError) {
  const auto folder = testing::tokenizer_golden("llama-sentencepiece");
  if (folder.empty()) GTEST_SKIP() << "no recorded tokenizers beside the sources";
  const std::string bytes = testing::read_bytes(folder / "tokenizer.model");
  EXPECT_THROW(parse_sentencepiece(""), Error);
  EXPECT_THROW(parse_sentencepiece("this is no model"), Error);
  std::mt19937 random(9);
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 200 && std::chrono::steady_clock::now() - start < std::chrono::seconds(5); ++i) {
    load_and_use(bytes.substr(0, random() % bytes.size()), true);
  }
}

TEST(TokenizerBadInput, MissingFilesAreNamed) {
  EXPECT_THROW(load_tokenizer("/nowhere/at/all"), Error);
  const testing::Scratch scratch;
  const std::filesystem::path& folder = scratch.path();
  EXPECT_THROW(load_tokenizer(folder), Error);
}

}  // namespace
}  // namespace tessera
