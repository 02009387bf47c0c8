#include "encoders/encoder.h"

namespace tessera {

Registry<Encoder>& encoders() {
  static Registry<Encoder> registry("encoder");
  return registry;
}

Tokens Encoder::forward(const Tensor& pixels, const Tensor& real) {
  if (real.defined() && !real.all().item<bool>())
    throw Error("this encoder reads whole pictures and cannot leave pixels out", "encoder",
                "give pictures of one size, or one by one");
  return forward(pixels);
}

}  // namespace tessera
