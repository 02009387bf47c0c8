#include "kernels/cpu/panel_product.h"

#include <algorithm>

#include "kernels/cpu/avx512_products.h"

// Sums are in registers where the loops over them are written out.
#undef TESSERA_UNROLL
#define TESSERA_UNROLL _Pragma("GCC unroll 8")

#include <hwy/cache_control.h>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/panel_product.cpp"
#include <hwy/foreach_target.h>
// After the above.
#include "kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tessera::HWY_NAMESPACE {

using cpu::PanelProduct;
using cpu::ProductKind;

using Words = hn::Vec<Bits>;

/// A word of a panel holds one, two or four inputs of an output; part i of it, and of the row's word, as numbers that
/// can be multiplied.
template <ProductKind kind>
struct Numbers {
  using Sum = std::conditional_t<kind == ProductKind::kInt8, hn::Vec<Integers>, Vector>;
  static constexpr int kParts = static_cast<int>(cpu::inputs_together(kind));

  template <int part>
  static HWY_INLINE Sum of_panel(Words words) {
    if constexpr (kind == ProductKind::kFloat32) return hn::BitCast(Floats(), words);
    if constexpr (kind == ProductKind::kBfloat16 && part == 0) return hn::BitCast(Floats(), hn::ShiftLeft<16>(words));
    if constexpr (kind == ProductKind::kBfloat16 && part == 1)
      return hn::BitCast(Floats(), hn::And(words, hn::Set(Bits(), 0xFFFF0000U)));
    if constexpr (kind == ProductKind::kInt8)
      return hn::ShiftRight<24>(hn::BitCast(Integers(), hn::ShiftLeft<24 - 8 * part>(words)));
  }
  template <int part>
  static HWY_INLINE Sum of_row(uint32_t word) {
    if constexpr (kind == ProductKind::kInt8)
      return hn::Set(Integers(), static_cast<int32_t>((word >> (8 * part)) & 255));
    else if constexpr (kind == ProductKind::kFloat32)
      return hn::BitCast(Floats(), hn::Set(Bits(), word));
    else
      return hn::BitCast(Floats(), hn::Set(Bits(), part == 0 ? word << 16 : word & 0xFFFF0000U));
  }
  static HWY_INLINE Sum add_product(Sum x, Sum weight, Sum sum) {
    if constexpr (kind == ProductKind::kInt8)
      return hn::Add(sum, hn::Mul(x, weight));
    else
      return hn::MulAdd(x, weight, sum);
  }
  static HWY_INLINE Sum load(const void* from) {
    if constexpr (kind == ProductKind::kInt8)
      return hn::LoadU(Integers(), static_cast<const int32_t*>(from));
    else
      return hn::LoadU(Floats(), static_cast<const float*>(from));
  }
  static HWY_INLINE void store(Sum sum, void* to) {
    if constexpr (kind == ProductKind::kInt8)
      hn::StoreU(sum, Integers(), static_cast<int32_t*>(to));
    else
      hn::StoreU(sum, Floats(), static_cast<float*>(to));
  }
};

constexpr int64_t kStep = 64;  // words of one group of inputs of a panel

template <ProductKind kind, int rows, int vectors, int part>
HWY_INLINE void add_part(const uint32_t (&x)[rows], const uint32_t* panel,
                         typename Numbers<kind>::Sum (&sums)[rows][vectors]) {
  using N = Numbers<kind>;
  typename N::Sum weights[vectors];
  TESSERA_UNROLL
  for (int v = 0; v < vectors; ++v)
    weights[v] = N::template of_panel<part>(hn::LoadU(Bits(), panel + static_cast<size_t>(v) * lanes()));
  TESSERA_UNROLL
  for (int row = 0; row < rows; ++row) {
    const auto number = N::template of_row<part>(x[row]);
    TESSERA_UNROLL
    for (int v = 0; v < vectors; ++v) sums[row][v] = N::add_product(number, weights[v], sums[row][v]);
  }
}

/// `rows` rows and as many columns as `vectors` vectors hold, beginning at the pointers.
template <ProductKind kind, int rows, int vectors>
HWY_NOINLINE void block(const PanelProduct& product, const char* x, const uint32_t* panel, uint32_t* sums) {
  using N = Numbers<kind>;
  typename N::Sum all[rows][vectors];
  const auto place = [&](int row, int v) {
    return sums + row * product.sums_stride + static_cast<int64_t>(static_cast<size_t>(v) * lanes());
  };
  TESSERA_UNROLL
  for (int row = 0; row < rows; ++row) TESSERA_UNROLL
  for (int v = 0; v < vectors; ++v)
    all[row][v] = product.add ? N::load(place(row, v)) : hn::Zero(hn::DFromV<typename N::Sum>());
  const int64_t steps = product.inputs / N::kParts, stride = product.x_stride * 4 / N::kParts;
  const char* next =
      product.next ? static_cast<const char*>(product.next) : reinterpret_cast<const char*>(panel) + 4096;
  const int64_t each = product.next ? product.next_bytes / std::max<int64_t>(1, steps) : kStep * 4;
  for (int64_t step = 0; step < steps; ++step, panel += kStep) {
    hwy::Prefetch(next + step * each);
    uint32_t words[rows];
    TESSERA_UNROLL
    for (int row = 0; row < rows; ++row) std::memcpy(&words[row], x + row * stride + 4 * step, 4);
    add_part<kind, rows, vectors, 0>(words, panel, all);
    if constexpr (N::kParts > 1) add_part<kind, rows, vectors, 1>(words, panel, all);
    if constexpr (N::kParts > 2) {
      add_part<kind, rows, vectors, 2>(words, panel, all);
      add_part<kind, rows, vectors, 3>(words, panel, all);
    }
  }
  TESSERA_UNROLL
  for (int row = 0; row < rows; ++row) TESSERA_UNROLL
  for (int v = 0; v < vectors; ++v) N::store(all[row][v], place(row, v));
}

template <ProductKind kind, int vectors>
void by_columns(const PanelProduct& product, const void* x, const void* panel, void* sums) {
  const int64_t stride = product.x_stride * 4 / Numbers<kind>::kParts;
  const auto width = static_cast<int64_t>(vectors * lanes());
  for (int64_t column = 0; column < product.columns; column += width) {
    const auto* weights = static_cast<const uint32_t*>(panel) + column;
    auto* out = static_cast<uint32_t*>(sums) + column;
    int64_t row = 0;
    for (; row + cpu::kRegisterRows <= product.rows; row += cpu::kRegisterRows)
      block<kind, cpu::kRegisterRows, vectors>(product, static_cast<const char*>(x) + row * stride, weights,
                                               out + row * product.sums_stride);
    for (; row < product.rows; ++row)
      block<kind, 1, vectors>(product, static_cast<const char*>(x) + row * stride, weights,
                              out + row * product.sums_stride);
  }
}

/// Six rows of four vectors fill the 32 registers of AVX-512; fewer vectors those of others. A vector has at most 16
/// numbers, so that no more columns are written than to a multiple of 16.
template <ProductKind kind>
void of_kind(const PanelProduct& product, const void* x, const void* panel, void* sums) {
  const bool whole = product.columns > 48 && lanes() == 16;
  whole           ? by_columns<kind, 4>(product, x, panel, sums)
  : lanes() == 16 ? by_columns<kind, 1>(product, x, panel, sums)
                  : by_columns<kind, 2>(product, x, panel, sums);
}

void multiply_words(const PanelProduct& product, const void* x, const void* panel, void* sums) {
#if HWY_TARGET <= HWY_AVX3  // so that tests which choose a lesser target get its own code
  if (product.kind == ProductKind::kBfloat16 && cpu::has_products_of(product.kind))
    return cpu::multiply_bfloat16(product, x, panel, static_cast<float*>(sums));
  if (product.kind == ProductKind::kInt8 && cpu::has_products_of(product.kind))
    return cpu::multiply_int8(product, x, panel, static_cast<int32_t*>(sums));
#endif
  if (product.kind == ProductKind::kFloat32) return of_kind<ProductKind::kFloat32>(product, x, panel, sums);
  if (product.kind == ProductKind::kBfloat16) return of_kind<ProductKind::kBfloat16>(product, x, panel, sums);
  of_kind<ProductKind::kInt8>(product, x, panel, sums);
}

bool has_kept(ProductKind kind) { return HWY_TARGET <= HWY_AVX3 && cpu::has_products_of(kind); }

}  // namespace tessera::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tessera {
HWY_EXPORT(multiply_words);
HWY_EXPORT(has_kept);
namespace cpu {
void multiply_panel(const PanelProduct& product, const void* x, const void* panel, void* sums) {
  HWY_DYNAMIC_DISPATCH(multiply_words)(product, x, panel, sums);
}
bool has_products_with_kept(ProductKind kind) { return HWY_DYNAMIC_DISPATCH(has_kept)(kind); }
}  // namespace cpu
}  // namespace tessera
#endif
