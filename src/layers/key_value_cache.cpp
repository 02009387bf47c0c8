#include "layers/key_value_cache.h"

#include <algorithm>
#include <stdexcept>

#include "core/error.h"

namespace tessera {
namespace {

constexpr int64_t kFirstCapacity = 64;
constexpr double kLargestInt8 = 127;

/// Writes `next` behind the first `length` entries of `buffer` along `axis`, in a larger buffer if need be.
void extend(Tensor& buffer, const Tensor& next, int64_t length, int64_t axis) {
  const int64_t added = next.size(axis), capacity = buffer.defined() ? buffer.size(axis) : 0;
  if (next.requires_grad() || (buffer.defined() && buffer.requires_grad())) {
    buffer = length == 0 ? next : torch::cat({buffer.narrow(axis, 0, length), next}, axis);
    return;
  }
  if (length + added > capacity) {
    auto shape = next.sizes().vec();
    shape[static_cast<size_t>(axis)] = std::max({length + added, 2 * capacity, kFirstCapacity});
    const Tensor larger = torch::empty(shape, next.options());
    if (length > 0) larger.narrow(axis, 0, length).copy_(buffer.narrow(axis, 0, length));
    buffer = larger;
  }
  buffer.narrow(axis, length, added).copy_(next);
}

/// The buffer with other rows. A search mostly leaves its best beams where they are, so that only what moves is copied.
void select_rows(Tensor& buffer, const Tensor& rows, int64_t length, int64_t axis) {
  if (!buffer.defined()) return;
  const Tensor filled = buffer.narrow(axis, 0, length);
  if (rows.size(0) == buffer.size(0) && !buffer.requires_grad()) {
    const Tensor moved = rows.ne(torch::arange(rows.size(0), rows.options())).nonzero().squeeze(1);
    if (moved.numel() > 0) filled.index_copy_(0, moved, filled.index_select(0, rows.index_select(0, moved)));
    return;
  }
  auto shape = buffer.sizes().vec();
  shape[0] = rows.size(0);
  if (buffer.requires_grad()) {
    buffer = buffer.index_select(0, rows);
    return;
  }
  Tensor other = torch::empty(shape, buffer.options());
  other.narrow(axis, 0, length).copy_(filled.index_select(0, rows));
  buffer = other;
}

/// The first `length` entries along `axis` to a buffer of their own, with room for `more` zeros behind them.
void move(Tensor& buffer, int64_t length, int64_t more, int64_t axis) {
  auto shape = buffer.sizes().vec();
  shape[static_cast<size_t>(axis)] = length + more;
  const Tensor other = torch::zeros(shape, buffer.options());
  other.narrow(axis, 0, length).copy_(buffer.narrow(axis, 0, length));
  buffer = other;
}

int64_t bytes_of(const Tensor& tensor) {
  return tensor.defined() ? tensor.numel() * static_cast<int64_t>(tensor.element_size()) : 0;
}

}  // namespace

CacheStorage cache_storage(const std::string& name, const std::string& where) {
  if (name == "float32") return CacheStorage::kAsGiven;
  if (name == "bfloat16") return CacheStorage::kBfloat16;
  if (name == "int8") return CacheStorage::kInt8;
  throw Error("'" + name + "' is no way to store a cache", where, "float32, bfloat16 or int8");
}

void KeyValueCache::store(CacheStorage storage) {
  if (storage != CacheStorage::kAsGiven) throw Error("cannot be stored in another type", "key-value cache");
}

void ContiguousCache::store(CacheStorage storage) {
  if (length_ > 0) throw Error("holds tokens already", "key-value cache", "choose its type before the prompt");
  storage_ = storage;
  keys_ = values_ = {};
}

/// What is kept of keys or values behind those of `before`.
ContiguousCache::Buffer ContiguousCache::packed(const Buffer& before, const Tensor& next) const {
  if (storage_ == CacheStorage::kAsGiven)  // what came first decides: a prefix in float32 before keys in bfloat16
    return {next.to(before.numbers.defined() ? before.numbers.scalar_type() : next.scalar_type()), {}};
  if (next.requires_grad())
    throw Error("has no gradient in this type", "key-value cache", "keep it in float32 while training");
  if (storage_ == CacheStorage::kBfloat16) return {next.to(torch::kBFloat16), {}};
  const Tensor scale = next.to(torch::kFloat32).abs().amax(-1, true) / kLargestInt8;
  const Tensor whole = (next.to(torch::kFloat32) / scale.clamp_min(1e-30)).round();
  return {whole.to(torch::kInt8), scale};
}

void ContiguousCache::put(Buffer& buffer, const Tensor& next) const {
  const Buffer more = packed(buffer, next);
  extend(buffer.numbers, more.numbers, length_, 2);
  if (more.scales.defined()) extend(buffer.scales, more.scales, length_, 2);
}

/// All that was put, with the `length_` of after it; the whole buffer where it is fixed.
Tensor ContiguousCache::read(const Buffer& buffer) const {
  const auto filled = [&](const Tensor& x) { return place_.defined() ? x : x.narrow(2, 0, length_); };
  if (storage_ == CacheStorage::kAsGiven) return filled(buffer.numbers);
  const Tensor given = filled(buffer.numbers).to(given_);
  return storage_ == CacheStorage::kInt8 ? given * filled(buffer.scales).to(given_) : given;
}

bool ContiguousCache::fix(int64_t tokens) {
  if (length_ == 0 || keys_.numbers.requires_grad()) return false;
  if (!mask_.defined())
    mask_ = torch::ones({keys_.numbers.size(0), length_}, keys_.numbers.options().dtype(torch::kBool));
  move(mask_, length_, tokens, 1);
  for (Buffer* buffer : {&keys_, &values_}) {
    move(buffer->numbers, length_, tokens, 2);
    if (buffer->scales.defined()) move(buffer->scales, length_, tokens, 2);
  }
  place_ = torch::full({1}, length_, mask_.options().dtype(torch::kInt64));
  return true;
}

/// append() without anything that depends on how many tokens there are.
KeysAndValues ContiguousCache::append_in_place(const KeysAndValues& next) {
  const Tensor place = place_.clone();
  const Tensor real = next.mask.defined() ? next.mask.to(torch::kBool)
                                          : torch::ones({mask_.size(0), next.keys.size(2)}, mask_.options());
  mask_.index_copy_(1, place, real);
  const auto put_at = [&](Buffer& buffer, const Tensor& numbers) {
    const Buffer more = packed(buffer, numbers);
    buffer.numbers.index_copy_(2, place, more.numbers);
    if (more.scales.defined()) buffer.scales.index_copy_(2, place, more.scales);
  };
  put_at(keys_, next.keys);
  put_at(values_, next.values);
  place_.add_(1);
  return {read(keys_), read(values_), mask_, place};
}

KeysAndValues ContiguousCache::append(const KeysAndValues& next) {
  const int64_t added = next.keys.size(2);
  if (place_.defined()) {
    if (added != 1) throw std::logic_error("a fixed key-value cache takes one token a call");
    given_ = next.keys.scalar_type();
    return append_in_place(next);
  }
  if (next.mask.defined() || mask_.defined()) {
    const auto flags = next.keys.options().dtype(torch::kBool).requires_grad(false);
    const int64_t batch = next.keys.size(0);
    if (!mask_.defined() && length_ > 0) extend(mask_, torch::ones({batch, length_}, flags), 0, 1);
    extend(mask_, next.mask.defined() ? next.mask.to(torch::kBool) : torch::ones({batch, added}, flags), length_, 1);
  }
  given_ = next.keys.scalar_type();
  put(keys_, next.keys);
  put(values_, next.values);
  length_ += added;
  return {read(keys_), read(values_), mask_.defined() ? mask_.narrow(1, 0, length_) : Tensor()};
}

void ContiguousCache::truncate(int64_t length) {
  if (length < 0 || length > length_)
    throw Error("holds " + std::to_string(length_) + " tokens and cannot be cut to " + std::to_string(length),
                "key-value cache");
  length_ = length;
  if (!place_.defined()) return;
  place_.fill_(length);
  mask_.narrow(1, length, mask_.size(1) - length).fill_(false);
}

void ContiguousCache::select(const Tensor& rows) {
  for (Buffer* buffer : {&keys_, &values_}) {
    select_rows(buffer->numbers, rows, length_, 2);
    select_rows(buffer->scales, rows, length_, 2);
  }
  select_rows(mask_, rows, length_, 1);
}

int64_t ContiguousCache::bytes() const {
  int64_t bytes = bytes_of(mask_);
  for (const Buffer* buffer : {&keys_, &values_}) bytes += bytes_of(buffer->numbers) + bytes_of(buffer->scales);
  return bytes;
}

}  // namespace tessera
