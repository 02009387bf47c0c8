#pragma once
#include "kernels/cpu/panel_product.h"

namespace tessera::cpu {

/// multiply_panel() for processors with AVX-512 and its dot products of bfloat16 and of bytes, for which Highway 1.0
/// has no word. Only where has_products_of() says so.
void multiply_bfloat16(const PanelProduct& product, const void* x, const void* panel, float* sums);
void multiply_int8(const PanelProduct& product, const void* x, const void* panel, int32_t* sums);

}  // namespace tessera::cpu
