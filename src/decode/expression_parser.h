#pragma once
#include <string>
#include <vector>

#include "decode/characters.h"

namespace tessera {

/// A part of a regular expression.
struct Expression {
  enum class Kind { kCharacters, kSequence, kChoice, kRepeat };
  Kind kind = Kind::kSequence;
  Characters characters = {};
  std::vector<Expression> parts = {};  ///< of a sequence, a choice; what is repeated
  int least = 0, most = 0;             ///< repetitions
};

inline constexpr int kUnbounded = -1;  ///< Expression::most of * and +

/// A regular expression as it was read.
struct ParsedExpression {
  Expression expression;
  bool bound_begin = false, bound_end = false;  ///< by ^ and $
};

/// See read_expression(). @throws Error with the place of a mistake
ParsedExpression parse_expression(const std::string& text, const std::string& where);

}  // namespace tessera
