#pragma once
#include "kernels/cpu/panel_product.h"

namespace tessera::cpu {

/// multiply_panel() for processors with AVX-512 and its dot products of bfloat16 and of bytes, for which Highway 1.0
/// has no word. Only where has_products_of() says so.
void multiply_bfloat16(const PanelProduct& product, const void* x, const void* panel, float* sums);
void multiply_int8(const PanelProduct& product, const void* x, const void* panel, int32_t* sums);

/// Rows whose inputs come in groups with a scale each, and weights in int4 likewise.
struct Int4Product {
  const int8_t* x = nullptr;  ///< rows x x_stride, with zeros behind the inputs
  int64_t rows = 0, x_stride = 0;
  int64_t inputs = 0, group = 32;           ///< inputs: with the zeros that fill up the last group
  const uint16_t* weight_scales = nullptr;  ///< float16, inputs / group x 64
  const float* x_scales = nullptr;          ///< rows x inputs / group
};

/// Every weight is read once, so that few rows are done at the memory's speed.
/// @param panel  two int4 weights a byte (see kernels/quantised.h)
/// @param sums   rows x 64, scaled
void multiply_int4(const Int4Product& product, const uint8_t* panel, float* sums, int64_t sums_stride);

}  // namespace tessera::cpu
