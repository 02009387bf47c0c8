#pragma once
#include "layers/mixer.h"

namespace tessera {

/// The keys and values that queries attend to.
struct KeysAndValues {
  Tensor keys, values;  ///< B x kv heads x S x d
  Tensor mask;          ///< B x S, true where a token is real; undefined: all are
};

/// The state of attention: the keys and values of all tokens seen. Attention reads it through this interface alone, so
/// that the memory behind it may be one buffer, pages that several sequences share, or packed numbers.
class KeyValueCache : public State {
 public:
  /// Adds the tokens of one call.
  /// @return all that was added so far, a view that is valid until the next call
  virtual KeysAndValues append(const KeysAndValues& next) = 0;
  /// How many tokens, real or not, it holds.
  virtual int64_t length() const = 0;
  /// Forgets all but the first `length` tokens (a draft that was refused).
  virtual void truncate(int64_t length) = 0;
};

/// One buffer per tensor, which grows by doubling and is filled in place, so that a token costs what it adds. Where
/// keys need a gradient they are joined instead: autograd must not see its operands overwritten.
class ContiguousCache : public KeyValueCache {
 public:
  KeysAndValues append(const KeysAndValues& next) override;
  int64_t length() const override { return length_; }
  void truncate(int64_t length) override;
  void select(const Tensor& rows) override;

 private:
  Tensor keys_, values_;  // B x kv heads x capacity x d
  Tensor mask_;           // B x capacity; undefined while all tokens are real
  int64_t length_ = 0;
};

}  // namespace tessera
