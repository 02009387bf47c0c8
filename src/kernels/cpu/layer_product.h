#pragma once
#include <functional>

#include "kernels/cpu/finish.h"
#include "kernels/cpu/panel_product.h"

namespace tessera::cpu {

/// A whole layer: finish(x W^T), divided among the threads in tiles that are finished while they are in a core's cache.
struct LayerProduct {
  ProductKind kind = ProductKind::kFloat32;
  const void* x = nullptr;
  int64_t rows = 0, inputs = 0, x_stride = 0;  ///< inputs: a multiple of inputs_together()
  int64_t outputs = 0;                         ///< of the result; a gated layer has twice as many in its panels
  /// `count` panels from the first on, in the numbers of the product. What it returns holds until the next call of the
  /// same thread.
  std::function<const void*(int64_t first, int64_t count)> panels;
  int64_t panel_bytes = 0;  ///< from one panel to the next in what it returns
  bool unpacks = false;     ///< it has to compute them, so that they serve all rows
  Finish finish;            ///< at the first row and output

  /// The finish of the result's columns from `column` on, whose sums begin with output `output`.
  Finish finish_at(int64_t row, int64_t column, int64_t output) const;
};

void multiply(const LayerProduct& layer);

}  // namespace tessera::cpu
