#pragma once
#include <cstdint>

#include "kernels/nonlinearity.h"

namespace tessera::cpu {

/// Sums of products, float32 or int32, row after row.
struct Sums {
  const void* numbers = nullptr;
  bool integers = false;
  int64_t stride = 0;  ///< numbers from row to row
};

/// What is done to sums before they are written: scaled, shifted, activated, added. Null: left out. The arrays over
/// columns may be read up to the next multiple of 64.
struct Finish {
  const float* row_scale = nullptr;
  const float* column_scale = nullptr;
  const float* column_offset = nullptr;  ///< subtracted before all else
  const float* bias = nullptr;
  Nonlinearity activation = Nonlinearity::kIdentity;
  bool gated = false;  ///< column j of the result is activated(j) times column 64 + j of the sums
  const float* residual = nullptr;
  int64_t residual_stride = 0;
  void* out = nullptr;
  int64_t out_stride = 0;
  bool narrow = false;  ///< out is bfloat16, else float32
};

/// @param columns  of the result
void finish(const Sums& sums, int64_t rows, int64_t columns, const Finish& how);

}  // namespace tessera::cpu
