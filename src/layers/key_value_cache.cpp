#include "layers/key_value_cache.h"

#include <algorithm>

#include "core/error.h"

namespace tessera {
namespace {

constexpr int64_t kFirstCapacity = 64;

/// Writes `next` behind the first `length` entries of `buffer` along `axis`, in a larger buffer if need be.
void put(Tensor& buffer, const Tensor& next, int64_t length, int64_t axis) {
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

}  // namespace

KeysAndValues ContiguousCache::append(const KeysAndValues& next) {
  const int64_t added = next.keys.size(2);
  if (next.mask.defined() || mask_.defined()) {
    const auto flags = next.keys.options().dtype(torch::kBool).requires_grad(false);
    const int64_t batch = next.keys.size(0);
    if (!mask_.defined() && length_ > 0) put(mask_, torch::ones({batch, length_}, flags), 0, 1);
    put(mask_, next.mask.defined() ? next.mask.to(torch::kBool) : torch::ones({batch, added}, flags), length_, 1);
  }
  put(keys_, next.keys, length_, 2);
  put(values_, next.values, length_, 2);
  length_ += added;
  return {keys_.narrow(2, 0, length_), values_.narrow(2, 0, length_),
          mask_.defined() ? mask_.narrow(1, 0, length_) : Tensor()};
}

void ContiguousCache::truncate(int64_t length) {
  if (length < 0 || length > length_)
    throw Error("holds " + std::to_string(length_) + " tokens and cannot be cut to " + std::to_string(length),
                "key-value cache");
  length_ = length;
}

void ContiguousCache::select(const Tensor& rows) {
  for (Tensor* tensor : {&keys_, &values_, &mask_})
    if (tensor->defined()) *tensor = tensor->index_select(0, rows);
}

}  // namespace tessera
