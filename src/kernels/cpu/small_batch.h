#pragma once
#include <cstdint>

namespace tessera::cpu {

/// Products of few rows with one panel (see kernels/panels.h), as decoding needs them: every weight is read once, and
/// the memory's speed is theirs. They exist for processors with AVX-512 and its dot products.
struct FewRows {
  const void* x = nullptr;  ///< bfloat16, uint8 or int8
  int64_t rows = 0, x_stride = 0;
  int64_t inputs = 0;     ///< with the zeros that fill up a panel; x is filled up likewise
  float* sums = nullptr;  ///< int32_t for int8 weights; rows x 64
  int64_t sums_stride = 0;
};

/// Of int4 weights, whose inputs come in groups with a scale each.
struct GroupScales {
  const uint16_t* weights = nullptr;  ///< float16, inputs / group x 64
  const float* x = nullptr;           ///< rows x inputs / group
  int64_t group = 32;
};

/// Whether this processor has the instructions. `can_dot_bfloat16` is for the first of them.
bool can_dot_bfloat16();
bool can_dot_int8();

/// x bfloat16, panel bfloat16.
void dot_bfloat16(const FewRows& few, const void* panel);
/// x uint8, panel int8; sums int32.
void dot_int8(const FewRows& few, const int8_t* panel);
/// x int8, panel two int4 weights a byte (see kernels/quantised.h); sums float32 and scaled.
void dot_int4(const FewRows& few, const uint8_t* panel, const GroupScales& scales);

}  // namespace tessera::cpu
