#pragma once
#include <cstdint>

namespace tessera::cpu {

/// What is multiplied: float32 x float32, bfloat16 x bfloat16 (sums in float32), uint8 x int8 (sums in int32).
enum class ProductKind { kFloat32, kBfloat16, kInt8 };

/// The inputs that lie together in a panel (see kernels/panels.h): 1, 2 or 4.
constexpr int64_t inputs_together(ProductKind kind) {
  return kind == ProductKind::kInt8 ? 4 : kind == ProductKind::kBfloat16 ? 2 : 1;
}

/// The rows whose sums the registers hold together.
constexpr int64_t kRegisterRows = 6;
/// The rows up to which reading the weights takes longer than all else, and each is read once.
constexpr int64_t kFewRows = 8;

/// A product of rows with one panel: sums (+)= x W^T.
struct PanelProduct {
  ProductKind kind = ProductKind::kFloat32;
  int64_t rows = 0;
  int64_t columns = 64;                   ///< at most 64; sums are written up to the next multiple of 16
  int64_t inputs = 0;                     ///< a multiple of inputs_together()
  int64_t x_stride = 0, sums_stride = 0;  ///< numbers from row to row
  bool add = false;                       ///< to what `sums` holds
  /// Memory that is wanted next, and how much of it: it is asked for meanwhile. Null: the panel itself and what lies
  /// behind it, as for few rows, which take no longer than reading it.
  const void* next = nullptr;
  int64_t next_bytes = 0;
};

/// Runs on the calling thread alone. Sums stay in registers; the instructions are chosen by the processor: AVX-512 with
/// its products of bfloat16 and bytes, and what Highway knows elsewhere.
/// @param x      rows x inputs
/// @param panel  inputs x 64, beginning with the first of the inputs
/// @param sums   float or int32
void multiply_panel(const PanelProduct& product, const void* x, const void* panel, void* sums);

/// Whether this processor multiplies such numbers by instructions of their own.
bool has_products_of(ProductKind kind);
/// Whether few rows of such numbers are multiplied with weights as they are kept (see avx512_kept.h; for sparse weights
/// has_sparse_products() as well). Elsewhere those are unpacked first.
bool has_products_with_kept(ProductKind kind);

}  // namespace tessera::cpu
