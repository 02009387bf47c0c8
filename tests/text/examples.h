#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "text/tokenizer.h"

namespace tessera::testing {

using Json = nlohmann::json;

inline Json regex(const std::string& pattern) { return {{"Regex", pattern}}; }
inline Json literal(const std::string& pattern) { return {{"String", pattern}}; }

/// A tokenizer.json in which every character is a token, so that tests see what the other stages do.
inline Json byte_level_json() {
  Json vocab = Json::object();
  const auto add = [&](const std::string& token) { vocab.emplace(token, vocab.size()); };
  for (int code = 0; code < 256 + 68; ++code) {
    const bool printable = (code >= 33 && code <= 126) || (code >= 161 && code <= 172) || (code >= 174);
    if (!printable) continue;
    if (code < 128) {
      add(std::string(1, static_cast<char>(code)));
    } else {
      add(std::string{static_cast<char>(0xC0 | (code >> 6)), static_cast<char>(0x80 | (code & 63))});
    }
  }
  add("th");
  add("the");
  add("\xC4\xA0the");  // " the"
  const Json level = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", false}, {"use_regex", true}};
  return {
      {"version", "1.0"},
      {"added_tokens", Json::array({{{"id", 400}, {"content", "<|end|>"}, {"special", true}, {"normalized", false}}})},
      {"pre_tokenizer", level},
      {"decoder", level},
      {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", {"t h", "th e", "\xC4\xA0 the"}}}}};
}

/// A word-level tokenizer that knows no word: its tokens are the pieces that the pre-tokenizer leaves.
inline Tokenizer splitter(const Json& pre_tokenizer, const Json& normalizer = nullptr) {
  const Json document = {{"normalizer", normalizer},
                         {"pre_tokenizer", pre_tokenizer},
                         {"model", {{"type", "WordLevel"}, {"unk_token", "?"}, {"vocab", {{"?", 0}}}}}};
  return parse_tokenizer_json(document.dump());
}

/// The stretches of the text that became tokens.
inline std::vector<std::string> pieces(const Tokenizer& tokenizer, const std::string& text) {
  std::vector<std::string> out;
  for (const TextSpan& span : tokenizer.encode(text).offsets) {
    out.push_back(text.substr(static_cast<size_t>(span.begin), static_cast<size_t>(span.end - span.begin)));
  }
  return out;
}

}  // namespace tessera::testing
