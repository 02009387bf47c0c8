#include <sstream>

#include "core/error.h"
#include "text/tokenizer_parts.h"

// The layouts before tokenizer.json, written as the documents that the transformers library converts them to.
namespace tessera::text {
namespace {

using Json = nlohmann::json;

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    if (line.ends_with('\r')) line.pop_back();
    lines.push_back(std::move(line));
  }
  return lines;
}

Json special_token(const std::string& content, const Json& vocab, bool lstrip = false) {
  return {{"id", vocab.at(content)}, {"content", content},  {"single_word", false}, {"lstrip", lstrip},
          {"rstrip", false},         {"normalized", false}, {"special", true}};
}

Json named(const std::string& token, const Json& vocab, const std::string& file) {
  if (!vocab.contains(token)) throw Error("the vocabulary lacks the token '" + token + "'", file);
  return Json::array({token, vocab.at(token)});
}

Json flag(const Json& config, const char* key, const Json& fallback) {
  return config.is_object() && config.contains(key) && config[key].is_boolean() ? config[key] : fallback;
}

Json merges_of(const std::string& text) {
  Json merges = Json::array();
  for (const std::string& line : lines_of(text)) {
    if (!line.empty() && !line.starts_with("#version")) merges.push_back(line);
  }
  return merges;
}

Json byte_level(bool trim) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", trim}, {"use_regex", true}};
}

Json clip_normalizer() {
  return {{"type", "Sequence"},
          {"normalizers",
           {{{"type", "NFC"}},
            {{"type", "Replace"}, {"pattern", {{"Regex", "\\s+"}}}, {"content", " "}},
            {{"type", "Lowercase"}}}}};
}

Json clip_pre_tokenizer() {
  const char* words =
      "<\\|startoftext\\|>|<\\|endoftext\\|>|'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+";
  return {{"type", "Sequence"},
          {"pretokenizers",
           {{{"type", "Split"}, {"pattern", {{"Regex", words}}}, {"behavior", "Removed"}, {"invert", true}},
            byte_level(true)}}};
}

// The library replaces the mark of a word's end after decoding; here the decoder does it.
Json clip_decoder() {
  return {{"type", "Sequence"},
          {"decoders",
           {byte_level(true),
            {{"type", "Replace"}, {"pattern", {{"String", "</w>"}}}, {"content", " "}},
            {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 1}}}}};
}

void add_known(Json& document, const Json& vocab, const std::vector<const char*>& tokens) {
  document["added_tokens"] = Json::array();
  for (const std::string token : tokens) {
    if (vocab.contains(token)) document["added_tokens"].push_back(special_token(token, vocab, token == "<mask>"));
  }
}

Json clip_document(const Json& vocab, Json document) {
  document["model"]["end_of_word_suffix"] = "</w>";
  document["model"]["unk_token"] = "<|endoftext|>";
  document["normalizer"] = clip_normalizer();
  document["pre_tokenizer"] = clip_pre_tokenizer();
  document["post_processor"] = {{"type", "RobertaProcessing"},
                                {"sep", named("<|endoftext|>", vocab, "vocab.json")},
                                {"cls", named("<|startoftext|>", vocab, "vocab.json")},
                                {"trim_offsets", false},
                                {"add_prefix_space", false}};
  document["decoder"] = clip_decoder();
  return document;
}

}  // namespace

Json bert_document(const std::string& text, const Json& config) {
  Json vocab = Json::object();
  int64_t id = 0;
  for (const std::string& line : lines_of(text)) vocab[line] = id++;
  const bool lowercase = flag(config, "do_lower_case", true).get<bool>();
  Json document = {
      {"model", {{"type", "WordPiece"}, {"unk_token", "[UNK]"}, {"vocab", vocab}}},
      {"normalizer",
       {{"type", "BertNormalizer"},
        {"clean_text", true},
        {"handle_chinese_chars", flag(config, "tokenize_chinese_chars", true)},
        {"strip_accents", flag(config, "strip_accents", nullptr)},
        {"lowercase", lowercase}}},
      {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
      {"post_processor",
       {{"type", "BertProcessing"},
        {"sep", named("[SEP]", vocab, "vocab.txt")},
        {"cls", named("[CLS]", vocab, "vocab.txt")}}},
      {"decoder", {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}}},
  };
  add_known(document, vocab, {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"});
  return document;
}

Json byte_level_document(const Json& vocab, const std::string& merges, const Json& config) {
  Json document = {{"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", merges_of(merges)}}}};
  add_known(document, vocab, {"<s>", "<pad>", "</s>", "<unk>", "<mask>", "<|startoftext|>", "<|endoftext|>"});
  if (vocab.contains("<|startoftext|>")) return clip_document(vocab, std::move(document));
  const bool prefix_space = flag(config, "add_prefix_space", false).get<bool>();
  document["pre_tokenizer"] = byte_level(true);
  document["pre_tokenizer"]["add_prefix_space"] = prefix_space;
  document["decoder"] = byte_level(true);
  if (vocab.contains("<s>") && vocab.contains("</s>")) {
    document["post_processor"] = {{"type", "RobertaProcessing"},
                                  {"sep", named("</s>", vocab, "vocab.json")},
                                  {"cls", named("<s>", vocab, "vocab.json")},
                                  {"trim_offsets", true},
                                  {"add_prefix_space", prefix_space}};
  } else {
    document["post_processor"] = byte_level(false);
  }
  return document;
}

}  // namespace tessera::text
