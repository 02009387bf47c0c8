#include "layers/mixer.h"

#include <stdexcept>

namespace tessera {

void State::rewind(int64_t) { throw std::logic_error("this state cannot forget tokens"); }

bool State::fix(int64_t) { return false; }

void FixedState::select(const Tensor& rows) {
  for (Tensor* tensor : replaced())
    if (tensor->defined()) *tensor = tensor->index_select(0, rows);
}

bool FixedState::fix(int64_t) {
  bool any = false;
  for (const Tensor* tensor : replaced()) any = any || tensor->defined();
  return any;
}

Tensor Mixer::step(const Tokens&, State&) { throw std::logic_error("this mixer keeps no state"); }

}  // namespace tessera
