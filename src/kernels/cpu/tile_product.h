#pragma once
#include <cstdint>

namespace tessera::cpu {

/// What is multiplied: float32 x float32, bfloat16 x bfloat16 (sums in float32), uint8 x int8 (sums in int32).
enum class ProductKind { kFloat32, kBfloat16, kInt8 };

/// A product of some rows with some panels (see kernels/panels.h): sums = x W^T. Rows lie one behind the other: oneDNN
/// has no fast way for others.
struct TileProduct {
  ProductKind kind = ProductKind::kFloat32;
  int64_t rows = 0, columns = 0, inputs = 0;

  bool operator==(const TileProduct&) const = default;
};

/// Runs on the calling thread alone.
/// @param x       rows x inputs
/// @param panels  of `columns` outputs; the first of them begins a panel
/// @param sums    rows x columns, float or int32
void multiply(const TileProduct& tile, const void* x, const void* panels, void* sums);

/// Whether this processor has a fast way for such products. float32 is always possible.
bool can_multiply(ProductKind kind);

}  // namespace tessera::cpu
