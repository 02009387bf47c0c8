#pragma once
#include "text/json_node.h"

namespace tessera::text {

/// SentencePiece's way to write spaces: a visible mark at the beginning of each word. The same settings stand at the
/// pre-tokenizer and at the decoder.
struct Metaspace {
  enum class Prepend {
    Always,
    First,
    Never
  };  ///< whether the text, or only its very beginning, gets a mark of its own
  char32_t replacement;
  Prepend prepend;
  bool split;
};

Metaspace parse_metaspace(const JsonNode& node);

}  // namespace tessera::text
