#pragma once
#include "text/tokenizer.h"

namespace tessera::testing {

/// Reads "a" as 3 and "b" as 4, puts <s> (1) before a text, and has <image> at `place` where that is not negative.
inline Tokenizer prompt_tokenizer(int64_t place) {
  using Json = nlohmann::json;
  const auto added = [](int64_t id, const char* text) {
    return Json{{"id", id}, {"content", text}, {"special", true}, {"normalized", false}};
  };
  Json tokens = Json::array({added(1, "<s>")});
  if (place >= 0) tokens.push_back(added(place, "<image>"));
  const Json begin = {{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}};
  const Json text = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}, pair = {{"Sequence", {{"id", "B"}, {"type_id", 0}}}};
  const Json around = {{"type", "TemplateProcessing"},
                       {"single", Json::array({begin, text})},
                       {"pair", Json::array({begin, text, pair})},
                       {"special_tokens", {{"<s>", {{"id", "<s>"}, {"ids", {1}}, {"tokens", {"<s>"}}}}}}};
  const Json vocabulary = {{"?", 0}, {"<s>", 1}, {"a", 3}, {"b", 4}};
  const Json file = {{"version", "1.0"},
                     {"added_tokens", tokens},
                     {"pre_tokenizer", {{"type", "WhitespaceSplit"}}},
                     {"post_processor", around},
                     {"model", {{"type", "WordLevel"}, {"vocab", vocabulary}, {"unk_token", "?"}}}};
  return parse_tokenizer_json(file.dump());
}

}  // namespace tessera::testing
