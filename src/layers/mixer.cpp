#include "layers/mixer.h"

#include <stdexcept>

namespace tessera {

Tensor Mixer::step(const Tokens&, State&) { throw std::logic_error("this mixer keeps no state"); }

}  // namespace tessera
