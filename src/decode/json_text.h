#pragma once
#include <string>

#include "decode/characters.h"

namespace tessera {

/// Characters as they stand inside of a JSON string: quotes, backslashes and control characters escaped.
void write_in_json(Grammar& grammar, Grammar::Node from, const Characters& characters, Grammar::Node to);

/// The rules that all JSON is made of. Each is made when it is first asked for.
class JsonRules {
 public:
  explicit JsonRules(Grammar& grammar) : grammar_(grammar) {}

  Grammar::Rule value();      ///< any
  Grammar::Rule object();     ///< any
  Grammar::Rule array();      ///< any
  Grammar::Rule string();     ///< with its quotes
  Grammar::Rule character();  ///< of a string, in any spelling
  Grammar::Rule number();
  Grammar::Rule integer();
  Grammar::Rule comma();  ///< with an optional space, as colon()
  Grammar::Rule colon();

 private:
  template <class Fill>
  Grammar::Rule once(Grammar::Rule& rule, Fill fill);
  Grammar::Rule expression(Grammar::Rule& rule, const char* expression);
  void list(Grammar::Node from, char open, Grammar::Node item, Grammar::Node item_end, char close, Grammar::Node to);

  Grammar& grammar_;
  Grammar::Rule value_ = -1, object_ = -1, array_ = -1, string_ = -1, character_ = -1, number_ = -1, integer_ = -1,
                comma_ = -1, colon_ = -1;
};

/// The integers from `low` to `high`, both included, as a regular expression.
std::string integer_range(int64_t low, int64_t high);

}  // namespace tessera
