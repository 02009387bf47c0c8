#pragma once
#include <cstdint>

namespace tessera::cpu {

/// A row of numbers in another form. `narrow` inputs are bfloat16, others float32.
struct Row {
  const void* numbers = nullptr;
  bool narrow = false;
  int64_t count = 0;
};

/// To bfloat16, to the nearest.
void to_bfloat16(const Row& row, void* out);
/// To float32.
void to_float32(const Row& row, float* out);
/// What makes an int8 number an uint8 one, which the products of bytes read.
constexpr int kZeroByte = 128;

/// To int8, the largest of which is 127, plus `zero` as one byte each.
/// @return the scale that makes them the numbers again; 0 where all are
float to_int8(const Row& row, int zero, uint8_t* out);

}  // namespace tessera::cpu
