#include <gtest/gtest.h>

#include "core/error.h"
#include "examples.h"
#include "text/tokenizer.h"

// Single components on texts whose results follow from their definition in the tokenizer.json format.
namespace tessera {
namespace {

using testing::Json;
using testing::pieces;
using testing::splitter;
using Strings = std::vector<std::string>;
using Ids = std::vector<int64_t>;

Json split(const Json& pattern, const char* behavior, bool invert = false) {
  return {{"type", "Split"}, {"pattern", pattern}, {"behavior", behavior}, {"invert", invert}};
}

// What a normalizer makes of a text, seen through a vocabulary of one unknown token per text.
std::string normalized(const Json& normalizer, const std::string& text) {
  const Json document = {
      {"normalizer", normalizer},
      {"model", {{"type", "Unigram"}, {"unk_id", 0}, {"vocab", Json::array({Json::array({"?", 0.0})})}}}};
  const Encoding encoding = parse_tokenizer_json(document.dump()).encode(text);
  std::string out;
  for (const std::string& token : encoding.tokens) out += token;
  return out;
}

std::string decoded(const Json& decoder, const Strings& tokens) {
  Json vocab = Json::object();
  for (const std::string& token : tokens) vocab.emplace(token, vocab.size());
  const Json document = {{"decoder", decoder},
                         {"model", {{"type", "WordLevel"}, {"unk_token", "?"}, {"vocab", vocab}}}};
  Ids ids;
  for (const std::string& token : tokens) ids.push_back(vocab[token].get<int64_t>());
  return parse_tokenizer_json(document.dump()).decode(ids);
}

TEST(PreTokenizers, SplitKnowsEveryBehaviour) {
  const std::string text = "the-final--countdown";
  const Json dash = testing::literal("-");
  EXPECT_EQ(pieces(splitter(split(dash, "Removed")), text), (Strings{"the", "final", "countdown"}));
  EXPECT_EQ(pieces(splitter(split(dash, "Isolated")), text), (Strings{"the", "-", "final", "-", "-", "countdown"}));
  EXPECT_EQ(pieces(splitter(split(dash, "Contiguous")), text), (Strings{"the", "-", "final", "--", "countdown"}));
  EXPECT_EQ(pieces(splitter(split(dash, "MergedWithPrevious")), text), (Strings{"the-", "final-", "-", "countdown"}));
  EXPECT_EQ(pieces(splitter(split(dash, "MergedWithNext")), text), (Strings{"the", "-final", "-", "-countdown"}));
  EXPECT_EQ(pieces(splitter(split(testing::regex("\\w+"), "Removed", true)), text),
            (Strings{"the", "final", "countdown"}));
}

TEST(PreTokenizers, SplitKnowsLookAheadAndProperties) {
  const Json words = testing::regex("\\p{L}+|\\p{N}{1,3}|\\s+(?!\\S)|\\s+");
  EXPECT_EQ(pieces(splitter(split(words, "Isolated")), "né  12345 ж"),
            (Strings{"né", " ", " ", "123", "45", " ", "ж"}));
}

TEST(PreTokenizers, SimpleOnesSplitAsTheyAreNamed) {
  EXPECT_EQ(pieces(splitter({{"type", "Whitespace"}}), "Hey, man_1 !!"), (Strings{"Hey", ",", "man_1", "!!"}));
  EXPECT_EQ(pieces(splitter({{"type", "WhitespaceSplit"}}), "Hey,\u00A0man !!"), (Strings{"Hey,", "man", "!!"}));
  EXPECT_EQ(pieces(splitter({{"type", "Punctuation"}}), "Hey,you$。"), (Strings{"Hey", ",", "you", "$", "。"}));
  EXPECT_EQ(pieces(splitter({{"type", "Digits"}, {"individual_digits", true}}), "a12"), (Strings{"a", "1", "2"}));
  EXPECT_EQ(pieces(splitter({{"type", "Digits"}, {"individual_digits", false}}), "a12b"), (Strings{"a", "12", "b"}));
  EXPECT_EQ(pieces(splitter({{"type", "CharDelimiterSplit"}, {"delimiter", "·"}}), "a·b··c"), (Strings{"a", "b", "c"}));
  EXPECT_EQ(pieces(splitter({{"type", "BertPreTokenizer"}}), "Hey, you  10$"), (Strings{"Hey", ",", "you", "10", "$"}));
  EXPECT_EQ(pieces(splitter({{"type", "FixedLength"}, {"length", 2}}), "éabcd"), (Strings{"éa", "bc", "d"}));
  EXPECT_EQ(pieces(splitter({{"type", "UnicodeScripts"}}), "どこで生れ Yes"), (Strings{"どこで生れ ", "Yes"}));
}

TEST(PreTokenizers, MetaspacePrependsByItsScheme) {
  const auto tokens = [](const char* scheme, bool split) {
    const Json document = {
        {"added_tokens", Json::array({{{"id", 1}, {"content", "<x>"}, {"special", true}}})},
        {"pre_tokenizer", {{"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", scheme}, {"split", split}}},
        {"model", {{"type", "Unigram"}, {"unk_id", 0}, {"vocab", Json::array({Json::array({"?", 0.0})})}}}};
    return parse_tokenizer_json(document.dump()).encode("Hey you<x>my").tokens;
  };
  EXPECT_EQ(tokens("always", true), (Strings{"▁Hey", "▁you", "<x>", "▁my"}));
  EXPECT_EQ(tokens("first", true), (Strings{"▁Hey", "▁you", "<x>", "my"}));
  EXPECT_EQ(tokens("never", true), (Strings{"Hey", "▁you", "<x>", "my"}));
  EXPECT_EQ(tokens("first", false), (Strings{"▁Hey▁you", "<x>", "my"}));
}

TEST(Normalizers, EachDoesWhatItsNameSays) {
  EXPECT_EQ(normalized({{"type", "NFC"}}, "e\u0301"), "é");
  EXPECT_EQ(normalized({{"type", "NFD"}}, "é"), "e\u0301");
  EXPECT_EQ(normalized({{"type", "NFKC"}}, "ﬁⅣ"), "fiIV");
  EXPECT_EQ(normalized({{"type", "NFKD"}}, "ﬁé"), "fie\u0301");
  EXPECT_EQ(normalized({{"type", "Lowercase"}}, "ÀΣİ"), "àσi\u0307");
  EXPECT_EQ(normalized({{"type", "StripAccents"}}, "e\u0301é"), "eé");
  EXPECT_EQ(normalized({{"type", "Strip"}, {"strip_left", true}, {"strip_right", false}}, " \ta "), "a ");
  EXPECT_EQ(normalized({{"type", "Prepend"}, {"prepend", "▁"}}, "a"), "▁a");
  EXPECT_EQ(normalized({{"type", "Prepend"}, {"prepend", "▁"}}, ""), "");
  EXPECT_EQ(normalized({{"type", "Append"}, {"append", "!"}}, "a"), "a!");
  EXPECT_EQ(normalized({{"type", "Nmt"}}, "a\u200Bb\u0007c\u2028"), "a bc ");
  EXPECT_EQ(normalized({{"type", "ByteLevel"}}, "é x"), "Ã©Ġx");
  EXPECT_EQ(normalized({{"type", "Replace"}, {"pattern", testing::regex("a+")}, {"content", "o"}}, "baab"), "bob");
  EXPECT_EQ(normalized({{"type", "BertNormalizer"}, {"lowercase", true}}, std::string("É漢\0\tx", 8)), "e 漢  x");
}

TEST(Normalizers, OffsetsReferToTheOriginalText) {
  const Json document = {{"normalizer", {{"type", "NFKC"}}},
                         {"pre_tokenizer", {{"type", "WhitespaceSplit"}}},
                         {"model", {{"type", "WordLevel"}, {"unk_token", "?"}, {"vocab", {{"?", 0}}}}}};
  EXPECT_EQ(parse_tokenizer_json(document.dump()).encode("ﬁx e\u0301 z").offsets,
            (std::vector<TextSpan>{{0, 4}, {5, 8}, {9, 10}}));
}

TEST(Decoders, EachUndoesItsEncoding) {
  EXPECT_EQ(
      decoded({{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}}, {"I", "do", "n't", "know", "##n", "."}),
      "I don't known.");
  EXPECT_EQ(decoded({{"type", "BPEDecoder"}, {"suffix", "</w>"}}, {"my</w>", "fri", "end</w>"}), "my friend");
  EXPECT_EQ(decoded({{"type", "Metaspace"}, {"replacement", "▁"}}, {"▁Hey", "▁you"}), "Hey you");
  EXPECT_EQ(decoded({{"type", "ByteFallback"}}, {"a", "<0xE5>", "<0x8f>", "b", "<0x61>"}), "a\uFFFD\uFFFDba");
  EXPECT_EQ(decoded({{"type", "ByteFallback"}}, {"<0xE5>", "<0x8F>", "<0xAB>"}), "叫");
  EXPECT_EQ(decoded({{"type", "Strip"}, {"content", "H"}, {"start", 1}, {"stop", 0}}, {"HHey", "H"}), "Hey");
  EXPECT_EQ(decoded({{"type", "Replace"}, {"pattern", testing::literal("_")}, {"content", " "}}, {"a_b", "_"}), "a b ");
  EXPECT_EQ(decoded({{"type", "CTC"}, {"pad_token", "<pad>"}, {"word_delimiter_token", "|"}, {"cleanup", true}},
                    {"<pad>", "h", "h", "e", "l", "<pad>", "l", "o", "|", "|", "w"}),
            "hello w");
}

TEST(AddedTokens, FlagsDecideWhatMatches) {
  const auto tokens = [](const Json& flags, const std::string& text) {
    Json token = {{"id", 1}, {"content", "mask"}, {"special", false}, {"normalized", false}};
    token.update(flags);
    const Json document = {{"added_tokens", Json::array({token})},
                           {"normalizer", {{"type", "Lowercase"}}},
                           {"model", {{"type", "WordLevel"}, {"unk_token", "?"}, {"vocab", {{"?", 0}}}}}};
    return parse_tokenizer_json(document.dump()).encode(text).tokens;
  };
  EXPECT_EQ(tokens(Json::object(), "a mask b"), (Strings{"?", "mask", "?"}));
  EXPECT_EQ(tokens(Json::object(), "unmasked"), (Strings{"?", "mask", "?"}));
  EXPECT_EQ(tokens({{"single_word", true}}, "unmasked mask"), (Strings{"?", "mask"}));
  EXPECT_EQ(tokens({{"lstrip", true}}, "a  mask b"), (Strings{"?", "  mask", "?"}));
  EXPECT_EQ(tokens({{"rstrip", true}}, "a mask  "), (Strings{"?", "mask  "}));
  EXPECT_EQ(tokens(Json::object(), "MASK"), (Strings{"?"}));
  EXPECT_EQ(tokens({{"normalized", true}}, "MASK"), (Strings{"mask"}));
}

TEST(AddedTokens, TheLongestOfSeveralWins) {
  Json document = testing::byte_level_json();
  for (const char* content : {"<|end|><|end|>", "<|"}) {
    document["added_tokens"].push_back(
        {{"id", 401 + document["added_tokens"].size()}, {"content", content}, {"special", true}});
  }
  EXPECT_EQ(parse_tokenizer_json(document.dump()).encode("<|end|><|end|><|end|><|").ids, (Ids{402, 400, 403}));
}

TEST(BatchSettings, TruncationFollowsItsStrategy) {
  Json document = testing::byte_level_json();
  document["post_processor"] =
      Json::parse(R"({"type": "BertProcessing", "sep": ["<|end|>", 400], "cls": ["<|end|>", 400]})");
  const Tokenizer tokenizer = parse_tokenizer_json(document.dump());
  const auto tokens = [&](const Truncation& truncation) {
    return tokenizer.encode("abcdef", "xyz", {true, truncation, std::nullopt}).tokens;
  };
  const std::string e = "<|end|>";
  EXPECT_EQ(tokens({9, TruncationStrategy::LongestFirst, false}), (Strings{e, "a", "b", "c", e, "x", "y", "z", e}));
  EXPECT_EQ(tokens({8, TruncationStrategy::LongestFirst, false}), (Strings{e, "a", "b", "c", e, "x", "y", e}));
  EXPECT_EQ(tokens({8, TruncationStrategy::OnlyFirst, true}), (Strings{e, "e", "f", e, "x", "y", "z", e}));
  EXPECT_EQ(tokens({10, TruncationStrategy::OnlySecond, false}).size(), 10U);
  EXPECT_THROW(tokens({8, TruncationStrategy::OnlySecond, false}), Error);
  EXPECT_THROW(tokens({2, TruncationStrategy::LongestFirst, false}), Error);
}

TEST(BatchSettings, FileSettingsAreReadButNotAppliedUnasked) {
  Json document = testing::byte_level_json();
  document["truncation"] =
      Json::parse(R"({"direction": "Left", "max_length": 4, "strategy": "LongestFirst", "stride": 0})");
  document["padding"] = Json::parse(
      R"({"strategy": {"Fixed": 5}, "direction": "Left", "pad_to_multiple_of": 4, "pad_id": 7, "pad_type_id": 1, "pad_token": "P"})");
  const Tokenizer tokenizer = parse_tokenizer_json(document.dump());
  EXPECT_EQ(tokenizer.encode("abcdef").size(), 6U);
  const TokenBatch batch = tokenizer.encode_batch({"abcdef", "x"}, tokenizer.file_options());
  EXPECT_EQ(batch.length, 8);
  EXPECT_EQ(batch.encodings[0].tokens, (Strings{"P", "P", "P", "P", "c", "d", "e", "f"}));
  EXPECT_EQ(batch.ids[8], 7);
  EXPECT_EQ(batch.type_ids[8], 1);
  EXPECT_EQ(batch.attention_mask[15], 1);
}

}  // namespace
}  // namespace tessera
