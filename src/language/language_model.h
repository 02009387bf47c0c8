#pragma once
#include "core/registry.h"
#include "language/text_encoder.h"
#include "layers/key_value_cache.h"
#include "layers/linear.h"

namespace tessera {

/// What a language model remembers of a batch of sequences between calls.
struct LanguageState {
  std::vector<std::shared_ptr<State>> mixers;  ///< in the order of the model's layers
  Tensor seen;                                 ///< B, int64: real tokens so far; undefined: none

  /// See State::select().
  void select(const Tensor& rows);
  /// Forgets the last `tokens` tokens of every row, all of which were real.
  /// @throws Error when a part of the state cannot: see can_rewind()
  void rewind(int64_t tokens);
  /// False for a model with a recurrent part, which cannot forget what it has read.
  bool can_rewind() const;
  /// How the key-value caches keep what comes from now on; call it before anything was seen.
  /// @throws Error when the model has no such cache, or has seen tokens already
  void store(CacheStorage storage);
  /// The memory that the key-value caches hold, in bytes.
  int64_t cache_bytes() const;
};

/// Token ids, or token vectors in their place, to hidden states and to the logits of the next token.
///
/// With a state, a call goes on where the last one stopped: a prompt may come at once, in pieces or token by token, and
/// its logits are the same. Tokens whose mask is false are padding, left or right, and change nothing for the others;
/// positions count the real tokens.
class LanguageModel : public Module {
 public:
  /// B x L -> B x L x width(): what a bridge joins with the tokens of a picture, before positions are added.
  /// @throws Error for ids outside the vocabulary
  virtual Tensor embed(const Tensor& ids) = 0;

  /// The hidden states after the last norm, B x L x width.
  /// @param embedded  x as embed() makes it; mask: B x L of these tokens alone, undefined where all are real; at: B x L
  /// x
  ///                  A, undefined to count the real tokens on from those that the state has seen
  /// @param state     made by start(), continued by this call; null: the tokens are all there is
  /// @throws Error when the positions do not fit into context()
  virtual Tokens hidden(const Tokens& embedded, LanguageState* state) = 0;

  /// Hidden states to the logits of the token that follows each: B x L x vocabulary.
  virtual Tensor logits(const Tensor& hidden) = 0;

  /// The state of sequences of which nothing has been seen. A model that reads a source first (T5) has its own.
  virtual LanguageState start() const = 0;

  /// True when a sequence that grows from `seen` to `length` tokens is computed anew from its first one (LongRoPE turns
  /// all of it by other angles beyond its original length): a state that has seen its beginning does not serve then.
  virtual bool outgrown(int64_t seen, int64_t length) const;

  virtual int64_t width() const = 0;
  virtual int64_t vocabulary() const = 0;
  /// The longest sequence that it was made for. Beyond it, learned positions are an Error and rotary ones lose quality.
  virtual int64_t context() const = 0;

  /// Ids to logits, B x L x vocabulary.
  Tensor forward(const TextBatch& text, LanguageState* state = nullptr);
};

/// The language models by the "kind" of a recipe.
Registry<LanguageModel>& language_models();

/// The tokens with coordinates (where `at` is undefined: the number of real tokens before each), and the count of the
/// state moved on. @throws Error when the state has seen a batch of another size
Tokens with_positions(Tokens tokens, LanguageState* state);

/// The rows of a table of learned positions for coordinates as with_positions() makes them: B or 1 x L x D.
/// @param offset  rows of the table before the first position
/// @throws Error when the table ends before them
Tensor learned_positions(Embedding& table, const Tensor& at, int64_t offset);

/// The mean cross entropy of predicting every label from the logits one position before it. Labels of -100 do not
/// count.
/// @param logits  B x L x vocabulary
/// @param labels  B x L, int64
Tensor next_token_loss(const Tensor& logits, const Tensor& labels);

/// Of each row of B x L x D, the vector of its last real token: B x D. A row without any gives its last one.
Tensor last_real(const Tensor& x, const Tensor& mask);

}  // namespace tessera
