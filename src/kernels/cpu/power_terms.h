#pragma once
#include <cstdint>

namespace tessera::cpu {

/// See fused_polynomial().
struct Polynomial {
  int64_t dim = 0;
  float cube = 0, square = 0, linear = 0, constant = 0;
  bool normalised = false;
  float eps = 0;
};

/// One row of `dim` numbers.
void evaluate(const Polynomial& polynomial, const float* x, float* out);

}  // namespace tessera::cpu
