#pragma once
#include <cstdint>

#include "kernels/nonlinearity.h"

namespace tessera::cpu {

/// Numbers that are activated, float32 or bfloat16.
struct Activation {
  Nonlinearity kind = Nonlinearity::kIdentity;
  bool narrow = false;
  int64_t count = 0;
  const void* x = nullptr;
  const void* gate = nullptr;  ///< what the activated numbers are multiplied by; null: nothing
};

/// @param out  of the type of x
void activate(const Activation& activation, void* out);

/// What a loss gains by x and by the gate.
/// @param gradient  what it gains by the result. All are of the type of x
/// @param to_gate   not read without a gate
void activate_back(const Activation& activation, const void* gradient, void* to_x, void* to_gate);

}  // namespace tessera::cpu
