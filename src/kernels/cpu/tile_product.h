#pragma once
#include <cstdint>

#include "kernels/cpu/panel_product.h"

namespace tessera::cpu {

/// A product of some rows with some panels (see kernels/panels.h) by oneDNN, which knows the units for tiles (AMX) that
/// processors have beside their vectors: sums = x W^T. Rows lie one behind the other: it has no fast way for others.
struct TileProduct {
  ProductKind kind = ProductKind::kFloat32;
  int64_t rows = 0, columns = 0, inputs = 0;

  bool operator==(const TileProduct&) const = default;
};

/// Runs on the calling thread alone.
/// @param x       rows x inputs
/// @param panels  of `columns` outputs; the first of them begins a panel
/// @param sums    rows x columns, float or int32
void multiply_tile(const TileProduct& tile, const void* x, const void* panels, void* sums);

/// Whether such products are faster so: where the processor has a unit for their tiles. The environment variable
/// TESSERA_PRODUCTS=onednn says yes wherever it is possible, TESSERA_PRODUCTS=registers no.
bool has_tile_unit(ProductKind kind);

}  // namespace tessera::cpu
