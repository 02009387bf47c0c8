#pragma once
#include <cstdint>

#include "kernels/cpu/panel_product.h"
#include "kernels/sparse_pattern.h"

namespace tessera::cpu {

/// Packed weights of one panel as bfloat16 (see kernels/panels.h), inputs / 2 x 64 x 2.
/// @param panel  int8, inputs / 4 x 64 x 4; the scales of the outputs are for the sums
void unpack_int8(const int8_t* panel, int64_t inputs, void* out);
/// @param panel   two int4 weights a byte (see kernels/quantised.h), inputs / 8 x 64 x 4
/// @param scales  float16, inputs / group x 64
void unpack_int4(const uint8_t* panel, const uint16_t* scales, int64_t inputs, int64_t group, void* out);
/// A panel in its own kind of numbers.
/// @param pattern  one of kSparsePatterns
/// @param kept     a panel of inputs / of * kept
/// @param places   of these, in words (see kernels/sparse.h)
/// @param inputs   a multiple of 16
void unpack_sparse(ProductKind kind, const SparsePattern& pattern, const void* kept, const void* places, int64_t inputs,
                   void* out);

}  // namespace tessera::cpu
