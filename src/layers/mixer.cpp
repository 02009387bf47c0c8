#include "layers/mixer.h"

#include <stdexcept>

namespace tessera {

void State::rewind(int64_t) { throw std::logic_error("this state cannot forget tokens"); }

Tensor Mixer::step(const Tokens&, State&) { throw std::logic_error("this mixer keeps no state"); }

}  // namespace tessera
