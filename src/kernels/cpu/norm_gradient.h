#pragma once
#include <cstdint>

namespace tessera::cpu {

/// The way back of a norm. `narrow` is what the result and its normalised numbers are, bfloat16, else float32.
struct NormGradient {
  int64_t dim = 0;
  const float* weight = nullptr;
  bool centred = false;  ///< the mean was taken off: layer norm
  bool narrow = false, narrow_x = false;
};

/// One row as the norm left it, and what it was multiplied by.
struct NormedRow {
  const void* normalised = nullptr;
  float factor = 1;
  const void* gradient = nullptr;  ///< of the loss by the result
};

/// @param to_x       what the loss gains by each number
/// @param to_weight  added to, as to_bias, which may be null
void normalise_back(const NormGradient& norm, const NormedRow& row, void* to_x, float* to_weight, float* to_bias);

}  // namespace tessera::cpu
