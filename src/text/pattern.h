#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/json_node.h"

namespace tessera::text {

/// A piece of a text, as byte positions, that a pattern matched or that lies between matches.
struct Piece {
  size_t begin, end;
  bool match;
};

/// What to search for: a literal string or a regular expression (PCRE2 with Unicode properties, compiled to machine
/// code). The published patterns are written for Oniguruma; the two agree on what they use.
class Pattern {
 public:
  /// `{"String": ...}` or `{"Regex": ...}`, or a bare string, which is a literal.
  explicit Pattern(const JsonNode& node);
  Pattern(const std::string& regex, const std::string& where);
  ~Pattern();
  Pattern(Pattern&&) noexcept;

  /// The whole text cut into matches and what lies between; pieces between are never empty.
  std::vector<Piece> cut(std::string_view text) const;

 private:
  struct Code;
  void compile(const std::string& regex, const std::string& where);
  std::vector<Piece> cut_literal(std::string_view text) const;

  std::string literal_, where_;
  std::unique_ptr<Code> code_;  // none: literal
};

enum class Behavior { Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous };
Behavior parse_behavior(const JsonNode& node);

/// What becomes of the matches when a text is split: the pieces that remain, without empty ones.
std::vector<Piece> apply_behavior(const std::vector<Piece>& pieces, Behavior behavior);

}  // namespace tessera::text
