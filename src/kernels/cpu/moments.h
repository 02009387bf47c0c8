#pragma once
#include <cstdint>

#include "kernels/adamw.h"

namespace tessera::cpu {

/// Parameters with what an optimizer knows of them, number by number.
struct Moments {
  float* weights;
  const float* gradients;
  float *means, *squares;
  int64_t count;
};

void move_weights(const Moments& moments, const AdamWStep& step);

}  // namespace tessera::cpu
