#include "kernels/cpu/avx512_products.h"

#include <algorithm>

#if defined(__x86_64__)
#include "kernels/cpu/avx512-inl.h"

namespace tessera::cpu {
namespace {

constexpr int64_t kTurn = 16;  // steps

/// What a product asks the memory for at each step.
struct Wanted {
  const char* at;    ///< null: the panel itself, a little further on
  int64_t each = 0;  ///< bytes a step
};

template <bool alone, int vectors>
inline void ask_for(const Wanted& wanted, const char* panel, int64_t step) {
  if constexpr (alone)
    fetch<vectors>(panel);
  else
    _mm_prefetch(wanted.at + step * wanted.each, _MM_HINT_T1);
}

/// Where a product's rows are. Strides in bytes.
struct Place {
  const char *x, *panel;
  int64_t x_stride, steps;
  void* sums;
  int64_t sums_stride;
  bool add;
  Wanted wanted;

  Place from(int64_t row) const {
    Place part = *this;
    part.x += row * x_stride;
    part.wanted.at += row / kRegisterRows * steps * wanted.each;
    part.sums = static_cast<char*>(sums) + row * sums_stride;
    return part;
  }
  Place from_column(int64_t column) const {
    Place part = *this;
    part.panel += column * 4;
    part.sums = static_cast<char*>(sums) + column * 4;
    return part;
  }
  Place from_step(int64_t step, int64_t count) const {
    Place part = *this;
    part.x += step * 4;
    part.panel += step * kStep;
    part.steps = count;
    part.add = add || step > 0;
    return part;
  }
  void* row_of_sums(int row, int vector) const {
    return static_cast<char*>(sums) + row * sums_stride + int64_t{64} * vector;
  }
};

/// sums + x * weights, where a lane has two bfloat16 numbers (the sums are float32) or four bytes (int32).
template <ProductKind kind>
TESSERA_DOTS inline __m512i add_dots(__m512i sums, __m512i x, __m512i weights) {
  if constexpr (kind == ProductKind::kInt8) return _mm512_dpbusd_epi32(sums, x, weights);
  return _mm512_castps_si512(_mm512_dpbf16_ps(_mm512_castsi512_ps(sums), (__m512bh)x, (__m512bh)weights));
}

template <ProductKind kind, bool alone, int rows, int vectors>
TESSERA_DOTS void multiply_block(const Place& place) {
  __m512i sums[rows][vectors];
  TESSERA_UNROLL
  for (int row = 0; row < rows; ++row) TESSERA_UNROLL
  for (int v = 0; v < vectors; ++v)
    sums[row][v] = place.add ? _mm512_loadu_si512(place.row_of_sums(row, v)) : _mm512_setzero_si512();
  const char* panel = place.panel;
  for (int64_t step = 0; step < place.steps; ++step, panel += kStep) {
    ask_for<alone, vectors>(place.wanted, panel, step);
    __m512i weights[vectors];
    TESSERA_UNROLL
    for (int v = 0; v < vectors; ++v) weights[v] = _mm512_loadu_si512(panel + int64_t{64} * v);
    TESSERA_UNROLL
    for (int row = 0; row < rows; ++row) {
      const __m512i x = _mm512_set1_epi32(word_at(place.x + row * place.x_stride + 4 * step));
      TESSERA_UNROLL
      for (int v = 0; v < vectors; ++v) sums[row][v] = add_dots<kind>(sums[row][v], x, weights[v]);
    }
  }
  TESSERA_UNROLL
  for (int row = 0; row < rows; ++row) TESSERA_UNROLL
  for (int v = 0; v < vectors; ++v) _mm512_storeu_si512(place.row_of_sums(row, v), sums[row][v]);
}

/// A single vector of outputs needs more rows at once, or each instruction waits for the one before.
constexpr int kNarrowRows = 12;

template <ProductKind kind, bool alone, int most>
void by_blocks(const PanelProduct& product, const Place& place) {
  if (product.columns > 48)
    return by_rows<most>(product.rows,
                         [&]<int rows>(int64_t row) { multiply_block<kind, alone, rows, kVectors>(place.from(row)); });
  for (int64_t column = 0; column < product.columns; column += 16)
    by_rows<kNarrowRows>(product.rows, [&]<int rows>(int64_t row) {
      multiply_block<kind, alone, rows, 1>(place.from(row).from_column(column));
    });
}

/// Few rows, but too many for the registers: they go over the panel in turns, a part of it in the first cache at a
/// time, so that the memory has something to do all the while.
template <ProductKind kind>
void in_turns(const PanelProduct& product, const Place& place) {
  for (int64_t step = 0; step < place.steps; step += kTurn)
    by_blocks<kind, true, 4>(product, place.from_step(step, std::min(kTurn, place.steps - step)));
}

template <ProductKind kind>
void by_blocks(const PanelProduct& product, const void* x, const void* panel, void* sums) {
  constexpr int64_t together = inputs_together(kind), size = 4 / together;
  const int64_t steps = product.inputs / together;
  const int64_t blocks = (product.rows + kRegisterRows - 1) / kRegisterRows;
  const Place place{
      static_cast<const char*>(x),
      static_cast<const char*>(panel),
      product.x_stride * size,
      steps,
      sums,
      product.sums_stride * 4,
      product.add,
      {static_cast<const char*>(product.next), product.next_bytes / std::max<int64_t>(1, blocks * steps)}};
  if (product.next) return by_blocks<kind, false, kRegisterRows>(product, place);
  product.rows > kRegisterRows&& product.rows <= kFewRows ? in_turns<kind>(product, place)
                                                          : by_blocks<kind, true, kRegisterRows>(product, place);
}

}  // namespace

void multiply_bfloat16(const PanelProduct& product, const void* x, const void* panel, float* sums) {
  by_blocks<ProductKind::kBfloat16>(product, x, panel, sums);
}

void multiply_int8(const PanelProduct& product, const void* x, const void* panel, int32_t* sums) {
  by_blocks<ProductKind::kInt8>(product, x, panel, sums);
}

bool has_products_of(ProductKind kind) {
  static const bool wide = __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
  static const bool pairs = wide && __builtin_cpu_supports("avx512bf16");
  static const bool bytes = wide && __builtin_cpu_supports("avx512vnni");
  return kind == ProductKind::kFloat32 || (kind == ProductKind::kBfloat16 ? pairs : bytes);
}

}  // namespace tessera::cpu

#else

namespace tessera::cpu {
void multiply_bfloat16(const PanelProduct&, const void*, const void*, float*) {}
void multiply_int8(const PanelProduct&, const void*, const void*, int32_t*) {}
bool has_products_of(ProductKind kind) { return kind == ProductKind::kFloat32; }
}  // namespace tessera::cpu

#endif
