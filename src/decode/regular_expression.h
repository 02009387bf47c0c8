#pragma once
#include <functional>
#include <string>

#include "decode/characters.h"

namespace tessera {

/// How one of some characters is written: as it is, or inside of a JSON string with escapes.
using Writer =
    std::function<void(Grammar& grammar, Grammar::Node from, const Characters& characters, Grammar::Node to)>;

struct RegularExpressionOptions {
  /// The whole text matches; else some part of it may, where ^ and $ do not bind it (as in JSON schema).
  bool whole = true;
  Writer writer = read_utf8;
};

/// Adds what a regular expression matches. It knows literals, `.`, classes ([a-z], [^a-z], \d \w \s and their
/// complements), groups, alternation, the quantifiers ? * + {m} {m,} {m,n} (lazy ones match the same texts), escapes
/// (\n, \x41, \u0041, \u{1F600}) and, at its borders, ^ and $. It works on characters; \d \w \s are those of ASCII.
/// @throws Error, with the place, for a mistake and for what is no regular language or not known: references back,
///         looking around, \b, Unicode properties, flags
void read_expression(Grammar& grammar, Grammar::Node from, const std::string& expression, Grammar::Node to,
                     const std::string& where, const RegularExpressionOptions& options = {});

/// The grammar of texts that match as a whole.
Grammar expression_grammar(const std::string& expression, const std::string& where = "regular expression");

}  // namespace tessera
