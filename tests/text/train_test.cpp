#include <gtest/gtest.h>

#include <random>

#include "core/error.h"
#include "goldens.h"
#include "support/scratch.h"
#include "text/sentencepiece_library.h"
#include "text/tokenizer.h"

namespace tessera {
namespace {

// Sanitizers allow no library with a private scope, which the trainer needs.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define REQUIRE_TRAINER() GTEST_SKIP() << "the SentencePiece library needs a build without sanitizers"
#else
#define REQUIRE_TRAINER()
#endif

std::vector<std::string> corpus() {
  const std::vector<std::string> who = {"a cat", "two dogs", "the red bird", "an old man", "the child", "every robot"};
  const std::vector<std::string> does = {"sits on", "looks at", "runs past", "paints", "carries", "forgets"};
  const std::vector<std::string> what = {"a mat", "the blue house", "some mosaic tiles", "the sea", "a photo", "stone"};
  std::vector<std::string> sentences;
  for (const auto& subject : who) {
    for (const auto& verb : does) {
      for (const auto& object : what) sentences.push_back(subject + " " + verb + " " + object + ".");
    }
  }
  return sentences;
}

TEST(TrainSentencePiece, SameSeedGivesTheSameBytes) {
  REQUIRE_TRAINER();
  for (const char* model : {"unigram", "bpe"}) {
    SentencePieceOptions options;
    options.model = model;
    options.vocab_size = options.model == "bpe" ? 100 : 45;
    options.seed = 17;
    options.max_sentences = 150;
    EXPECT_EQ(train_sentencepiece(corpus(), options), train_sentencepiece(corpus(), options)) << model;
  }
}

TEST(TrainSentencePiece, TrainedModelReadsItsCorpus) {
  REQUIRE_TRAINER();
  SentencePieceOptions options;
  options.byte_fallback = true;
  options.pad = 3;
  options.user_symbols = {"<image>"};
  const testing::Scratch scratch;
  const std::filesystem::path& folder = scratch.path();
  {
    std::ofstream file(folder / "corpus.txt");
    for (const std::string& sentence : corpus()) file << sentence << "\n";
  }
  options.vocab_size = 300;
  const Tokenizer tokenizer = parse_sentencepiece(train_sentencepiece(folder / "corpus.txt", options));
  EXPECT_EQ(tokenizer.vocab_size(), 300);
  EXPECT_EQ(tokenizer.special_ids().bos, 1);
  EXPECT_EQ(tokenizer.special_ids().pad, 3);
  ASSERT_TRUE(tokenizer.token_to_id("<image>"));
  for (const std::string text : {"the red bird paints a photo.", "an <image> of 漢字 and ü"}) {
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(text).ids), text);
  }
  EXPECT_LT(tokenizer.encode("two dogs carries the sea.").size(), 25U);
}

TEST(TrainSentencePiece, TooLittleTextIsAnError) {
  REQUIRE_TRAINER();
  SentencePieceOptions options;
  EXPECT_THROW(train_sentencepiece(std::vector<std::string>{}, options), Error);
  EXPECT_THROW(train_sentencepiece(std::vector<std::string>{"short"}, options), Error);
  options.model = "oracle";
  EXPECT_THROW(train_sentencepiece(corpus(), options), Error);
  EXPECT_THROW(train_sentencepiece(std::filesystem::path("/nowhere"), options), Error);
}

// Spaces, unknown characters and symbols of the user are where two implementations would differ.
std::string random_text(std::mt19937& random) {
  static const std::vector<std::string> kParts = {"a",       "the", "red",    " ",      " ",       "  ",    "cat",
                                                  "é",       "漢",  "ﬁ",      "\t",     "<image>", "<s>",   "▁",
                                                  "e\u0301", "🇩🇪",  "\u200B", "\u3000", "x",       "tiles", "."};
  std::string text;
  for (auto count = random() % 12; count > 0; --count) text += kParts[random() % kParts.size()];
  return text;
}

void expect_equal_to_library(const std::string& model, std::mt19937& random) {
  std::string error;
  const auto library = text::sentencepiece_library().load(model, error);
  ASSERT_TRUE(library) << error;
  const Tokenizer tokenizer = parse_sentencepiece(model);
  for (int i = 0; i < 300; ++i) {
    const std::string text = random_text(random);
    std::vector<text::SentencePieceModelApi::Piece> want;
    ASSERT_EQ(library->encode(text, want), "");
    const Encoding got = tokenizer.encode(text);
    std::vector<int64_t> ids;
    std::vector<std::string> tokens;
    for (const auto& piece : want) ids.push_back(piece.id), tokens.push_back(piece.text);
    ASSERT_EQ(got.ids, ids) << text;
    ASSERT_EQ(got.tokens, tokens) << text;
    std::vector<std::string> pieces;
    for (const int64_t id : ids) pieces.push_back(*tokenizer.id_to_token(id));
    std::string decoded;
    ASSERT_EQ(library->decode(pieces, decoded), "");
    ASSERT_EQ(tokenizer.decode(got.ids), decoded) << text;
  }
}

TEST(SentencePieceModels, OursEqualsTheLibrary) {
  REQUIRE_TRAINER();
  std::mt19937 random(11);
  for (const char* kind : {"unigram", "bpe"}) {
    for (const bool bytes : {false, true}) {
      for (const char* rules : {"nmt_nfkc", "identity"}) {
        SentencePieceOptions options;
        options.model = kind;
        options.byte_fallback = bytes;
        options.vocab_size = bytes ? 303 : options.model == "bpe" ? 100 : 47;
        options.normalization = rules;
        options.user_symbols = {"<image>"};
        SCOPED_TRACE(std::string(kind) + " " + rules + (bytes ? " bytes" : ""));
        expect_equal_to_library(train_sentencepiece(corpus(), options), random);
      }
    }
  }
  for (const char* name : {"llama-sentencepiece", "t5-sentencepiece"}) {
    const auto folder = testing::tokenizer_golden(name);
    if (!folder.empty()) expect_equal_to_library(testing::read_bytes(folder / "tokenizer.model"), random);
  }
}

}  // namespace
}  // namespace tessera
