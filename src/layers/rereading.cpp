#include "layers/rereading.h"

#include "core/error.h"
#include "layers/packing.h"

namespace tessera {
namespace {

/// What stands along the sequence, behind what stood there before; both or neither may be undefined.
Tensor joined(const Tensor& before, const Tensor& next) {
  return before.defined() ? torch::cat({before, next}, 1) : next;
}

Tensor real_of(const Tokens& tokens) {
  return tokens.mask.defined() ? tokens.mask.to(torch::kBool)
                               : torch::ones({tokens.x.size(0), tokens.x.size(1)},
                                             tokens.x.options().dtype(torch::kBool).requires_grad(false));
}

}  // namespace

void History::select(const Tensor& rows) {
  for (Tensor* tensor : {&seen_.x, &seen_.mask, &seen_.ids})
    if (tensor->defined()) *tensor = tensor->index_select(0, rows);
}

void History::rewind(int64_t tokens) {
  for (Tensor* tensor : {&seen_.x, &seen_.mask, &seen_.ids})
    if (tensor->defined()) *tensor = tensor->narrow(1, 0, tensor->size(1) - tokens);
}

Tokens History::append(const Tokens& next) {
  const Tensor real = real_of(next);
  seen_.x = joined(seen_.x, next.x);
  seen_.mask = joined(seen_.mask, real);
  if (next.ids.defined()) seen_.ids = joined(seen_.ids, next.ids);
  Tokens all = next;
  all.x = seen_.x, all.mask = seen_.mask, all.ids = seen_.ids;
  return all;
}

Tensor RereadingMixer::forward(const Tokens& tokens) {
  if (!tokens.mask.defined()) return tap(*this, mix(tokens));
  if (causal_) return tap(*this, without_padding(tokens));
  if (!tokens.mask.to(torch::kBool).all().item<bool>())
    throw Error("this mixer reads whole grids and cannot leave tokens out", "mixer", "give pictures of one size");
  return tap(*this, mix(tokens));
}

Tensor RereadingMixer::step(const Tokens& tokens, State& state) {
  const int64_t length = tokens.x.size(1);
  const Tensor mixed = without_padding(dynamic_cast<History&>(state).append(tokens));
  return tap(*this, mixed.narrow(1, mixed.size(1) - length, length));
}

std::shared_ptr<State> RereadingMixer::start() const { return causal_ ? std::make_shared<History>() : nullptr; }

Tensor RereadingMixer::without_padding(const Tokens& tokens) {
  const Packing packing(tokens);
  Tokens packed = packing.pack(tokens);
  packed.mask = Tensor();
  return packing.unpack(mix(packed));
}

}  // namespace tessera
