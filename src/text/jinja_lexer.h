#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace tessera::text::jinja {

/// A piece of a template's source.
struct Token {
  enum Kind {
    kData,
    kPrintBegin,
    kPrintEnd,
    kBlockBegin,
    kBlockEnd,
    kName,
    kString,
    kInteger,
    kFloat,
    kOperator,
    kEnd
  };
  Kind kind;
  std::string text;  ///< of a string, what it stands for
  int line;

  bool is(Kind which, std::string_view what) const { return kind == which && text == what; }
};

/// Cuts a template into tokens, with white space handled as transformers asks of Jinja: `trim_blocks` (the line break
/// after a block goes) and `lstrip_blocks` (so does the indentation before one), `-` and `+` at the tags, comments and
/// `raw` blocks left out. A single line break at the end of the template goes as well.
/// @throws Error naming the line
std::vector<Token> tokenize(std::string_view source, const std::string& name);

}  // namespace tessera::text::jinja
