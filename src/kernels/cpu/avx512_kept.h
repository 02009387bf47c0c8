#pragma once
#include "kernels/cpu/panel_product.h"
#include "kernels/sparse_pattern.h"

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

/// Rows, and weights of which some of the inputs are kept (see kernels/sparse.h).
struct SparseProduct {
  ProductKind kind = ProductKind::kFloat32;
  SparsePattern pattern;                  ///< one of kSparsePatterns
  int64_t rows = 0, inputs = 0;           ///< inputs: those of whole words of places
  int64_t x_stride = 0, sums_stride = 0;  ///< numbers from row to row
};

/// What is kept chooses the inputs that it is multiplied with.
/// @param x       rows x inputs, with zeros where the weights have been filled up
/// @param kept    a panel of inputs / of * kept
/// @param places  its places, in words
/// @param sums    rows x 64, float or int32
void multiply_sparse(const SparseProduct& product, const void* x, const void* kept, const void* places, void* sums);

/// Whether this processor has multiply_sparse() of such numbers: bytes are chosen by an instruction of their own
/// (AVX-512 VBMI, which came later than the products of bytes).
bool has_sparse_products(ProductKind kind);

}  // namespace tessera::cpu
