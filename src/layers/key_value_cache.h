#pragma once
#include <string>

#include "layers/mixer.h"

namespace tessera {

/// The keys and values that queries attend to.
struct KeysAndValues {
  Tensor keys, values;  ///< B x kv heads x S x d
  Tensor mask;          ///< B x S, true where a token is real; undefined: all are
  Tensor place = {};  ///< 1, int64: where among them the one token of this call stands; undefined: its tokens are last
};

/// How a cache keeps its numbers: as they come; in bfloat16; or as int8 with one float32 scale for each key and value
/// vector of a head, the largest of which is 127.
enum class CacheStorage { kAsGiven, kBfloat16, kInt8 };

/// "float32" (as given), "bfloat16" or "int8". @throws Error for another name
CacheStorage cache_storage(const std::string& name, const std::string& where);

/// The state of attention: the keys and values of all tokens seen. Attention reads it through this interface alone, so
/// that the memory behind it may be one buffer, pages that several sequences share, or packed numbers.
class KeyValueCache : public State {
 public:
  /// Adds the tokens of one call.
  /// @return all that was added so far, a view that is valid until the next call
  virtual KeysAndValues append(const KeysAndValues& next) = 0;
  /// How many tokens, real or not, it holds.
  virtual int64_t length() const = 0;
  /// Forgets all but the first `length` tokens.
  virtual void truncate(int64_t length) = 0;
  bool can_rewind() const override { return true; }
  void rewind(int64_t tokens) override { truncate(length() - tokens); }

  /// How it keeps what is added. @throws Error when it holds tokens already, or has no such storage
  virtual void store(CacheStorage storage);
  /// The memory that it holds, with room for tokens to come.
  virtual int64_t bytes() const = 0;
};

/// One buffer per tensor, which grows by doubling and is filled in place, so that a token costs what it adds. Where
/// keys need a gradient they are joined instead: autograd must not see its operands overwritten. Packed storage is
/// unpacked one layer at a time, when attention reads it, and has no gradient.
class ContiguousCache : public KeyValueCache {
 public:
  KeysAndValues append(const KeysAndValues& next) override;
  int64_t length() const override { return length_; }
  void truncate(int64_t length) override;
  void select(const Tensor& rows) override;
  void store(CacheStorage storage) override;
  int64_t bytes() const override;
  /// From then on a call adds one token and is given the whole buffer, in which the mask hides what is not there yet.
  bool fix(int64_t tokens) override;
  void count_token() override { length_ += place_.defined() ? 1 : 0; }
  void release() override { place_ = Tensor(); }

 private:
  /// Keys or values: B x kv heads x capacity x d, and for int8 their scales, B x kv heads x capacity x 1.
  struct Buffer {
    Tensor numbers, scales;
  };
  Buffer packed(const Buffer& before, const Tensor& next) const;
  void put(Buffer& buffer, const Tensor& next) const;
  Tensor read(const Buffer& buffer) const;
  KeysAndValues append_in_place(const KeysAndValues& next);

  CacheStorage storage_ = CacheStorage::kAsGiven;
  torch::ScalarType given_ = torch::kFloat32;  // what packed numbers become again
  Buffer keys_, values_;
  Tensor mask_;   // B x capacity; undefined while all tokens are real
  Tensor place_;  // 1, int64, on the device: the next token's place; undefined but between fix() and release()
  int64_t length_ = 0;
};

}  // namespace tessera
