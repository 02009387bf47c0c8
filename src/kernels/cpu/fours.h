#pragma once
#include <cstdint>

namespace tessera::cpu {

/// See products_of_fours().
struct Fours {
  const float* columns = nullptr;  ///< 4 x channels: what the first, second, ... input of a block gives to each output
  const float* bias = nullptr;     ///< channels
  int64_t channels = 0;
};

/// One row of `channels` numbers.
void multiply_fours(const Fours& fours, const float* x, float* out);

}  // namespace tessera::cpu
