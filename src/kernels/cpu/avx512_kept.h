#pragma once
#include "kernels/cpu/panel_product.h"

namespace tessera::cpu {

// Products of few rows with weights as they are kept, in fewer bytes than those of the product itself. Only where
// has_products_with_kept() says so.

/// Rows whose inputs come in groups with a scale each, and weights in int4 likewise. What belongs to several rows lies
/// side by side.
struct Int4Product {
  const int8_t* x = nullptr;  ///< inputs / 8 x rows x 8, with zeros behind the inputs
  int64_t rows = 0;
  int64_t inputs = 0, group = 32;           ///< inputs: with the zeros that fill up the last group
  const uint16_t* weight_scales = nullptr;  ///< float16, inputs / group x 64
  const float* x_scales = nullptr;          ///< inputs / group x rows
  const int32_t* x_sums = nullptr;          ///< likewise: of the inputs of each group
};

/// Every weight is read and unpacked once for eight rows.
/// @param panel  two int4 weights a byte (see kernels/quantised.h)
/// @param sums   rows x 64, scaled
void multiply_int4(const Int4Product& product, const uint8_t* panel, float* sums, int64_t sums_stride);

/// Rows, and weights of which two of every four inputs are kept (see kernels/sparse.h).
struct SparseProduct {
  ProductKind kind = ProductKind::kFloat32;
  int64_t rows = 0, inputs = 0;           ///< inputs: a multiple of 32
  int64_t x_stride = 0, sums_stride = 0;  ///< numbers from row to row
};

/// What is kept chooses the inputs that it is multiplied with.
/// @param x       rows x inputs, with zeros where the weights have been filled up
/// @param kept    a panel of inputs / 2
/// @param places  inputs / 32 x 64 words
/// @param sums    rows x 64, float or int32
void multiply_sparse(const SparseProduct& product, const void* x, const void* kept, const void* places, void* sums);

}  // namespace tessera::cpu
