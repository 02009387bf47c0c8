#include <gtest/gtest.h>

#include "core/error.h"
#include "goldens.h"
#include "text/tokenizer.h"

namespace tessera {
namespace {

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
  SentencePieceOptions options;
  options.byte_fallback = true;
  options.pad = 3;
  options.user_symbols = {"<image>"};
  const auto folder = testing::scratch_folder("train");
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
  SentencePieceOptions options;
  EXPECT_THROW(train_sentencepiece(std::vector<std::string>{}, options), Error);
  EXPECT_THROW(train_sentencepiece(std::vector<std::string>{"short"}, options), Error);
  options.model = "oracle";
  EXPECT_THROW(train_sentencepiece(corpus(), options), Error);
  EXPECT_THROW(train_sentencepiece(std::filesystem::path("/nowhere"), options), Error);
}

}  // namespace
}  // namespace tessera
