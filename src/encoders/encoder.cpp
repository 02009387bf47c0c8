#include "encoders/encoder.h"

namespace tessera {

Registry<Encoder>& encoders() {
  static Registry<Encoder> registry("encoder");
  return registry;
}

}  // namespace tessera
