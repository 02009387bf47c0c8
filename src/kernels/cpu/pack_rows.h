#pragma once
#include <cstdint>

namespace tessera::cpu {

/// Rows of float32 or bfloat16 numbers, `stride` numbers apart.
struct NumberRows {
  const void* data;
  int64_t stride, count, width;
  bool narrow;
};

/// Rows of keys as panels (see kernels/panels.h): keys are outputs. The stride and width of narrow rows are even.
void pack_keys(const NumberRows& keys, void* panels);
/// Rows of values as panels: the features are outputs, the keys inputs.
void pack_values(const NumberRows& values, void* panels);

}  // namespace tessera::cpu
