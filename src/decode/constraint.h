#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "decode/grammar.h"
#include "text/tokenizer.h"

namespace tessera {

/// The bytes that each token stands for inside of a text, in an order in which all that begin alike are neighbours.
class TokenBytes {
 public:
  /// @param bytes  by id; empty for tokens that stand for no text, which no constraint allows
  explicit TokenBytes(std::vector<std::string> bytes);
  /// @throws Error when the tokens of this kind of tokenizer are no bytes of their own
  explicit TokenBytes(const Tokenizer& tokenizer);

  int64_t size() const { return static_cast<int64_t>(bytes_.size()); }
  const std::string& of(int64_t id) const { return bytes_.at(static_cast<size_t>(id)); }
  /// The ids of the tokens with bytes, in the order of those.
  const std::vector<int32_t>& sorted() const { return sorted_; }
  /// Of each of them, how many bytes it begins with as the one before it.
  const std::vector<uint32_t>& shared() const { return shared_; }

 private:
  std::vector<std::string> bytes_;
  std::vector<int32_t> sorted_;
  std::vector<uint32_t> shared_;
};

/// What the next token of a text may be. A state is a number, so that beams and drafts can hold several.
class Constraint {
 public:
  using State = int64_t;
  virtual ~Constraint() = default;
  virtual State start() = 0;
  /// The state behind a token that was allowed.
  virtual State next(State state, int64_t id) = 0;
  /// By id, whether a token may follow. Tokens beyond it may not. Valid until the next call.
  virtual const std::vector<bool>& allowed(State state) = 0;
  /// Whether the text may end here, and whether it must as nothing may follow.
  virtual bool may_end(State state) = 0;
  virtual bool must_end(State state) = 0;
};

/// Texts of a grammar. What a state allows is found by walking the vocabulary once, and remembered.
/// @param what  for messages: "schema"
/// @throws Error when no text is of the grammar
std::shared_ptr<Constraint> grammar_constraint(Grammar grammar, std::shared_ptr<const TokenBytes> tokens,
                                               const std::string& what);

}  // namespace tessera
