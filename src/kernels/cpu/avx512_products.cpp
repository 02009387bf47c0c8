#include "kernels/cpu/avx512_products.h"

#include <algorithm>
#include <cstring>

#if defined(__x86_64__)
// GCC 12 takes what its own header leaves undefined on purpose for a mistake (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>

// Sums are in registers where the loops over them are written out.
#define TESSERA_UNROLL _Pragma("GCC unroll 8")
// A template has one target for all its kinds; what a kind does not name, the compiler has no occasion to use.
#define TESSERA_DOTS __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16,avx512vnni")))
#define TESSERA_INT8 __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))

namespace tessera::cpu {
namespace {

constexpr int kVectors = 4;             // of 16 outputs in a panel
constexpr int64_t kStep = 256;          // bytes of one group of inputs of a panel
constexpr int64_t kAhead = 16 * kStep;  // how far ahead memory is asked for

inline void fetch(const char* at) {
  for (int64_t line = 0; line < kStep; line += 64) _mm_prefetch(at + kAhead + line, _MM_HINT_T0);
}

/// What a product asks the memory for at each step.
struct Wanted {
  const char* at;    ///< null: the panel itself, a little further on
  int64_t each = 0;  ///< bytes a step
};

template <bool alone>
inline void ask_for(const Wanted& wanted, const char* panel, int64_t step) {
  if constexpr (alone)
    fetch(panel);
  else
    _mm_prefetch(wanted.at + step * wanted.each, _MM_HINT_T1);
}

inline int word_at(const void* at) {
  int word;
  std::memcpy(&word, at, sizeof(word));
  return word;
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
    ask_for<alone>(place.wanted, panel, step);
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

/// Calls part.operator()<rows>(first) for the rows, `most` at once.
template <int most, class Part>
void by_rows(int64_t rows, const Part& part) {
  int64_t first = 0;
  for (; first + most <= rows; first += most) part.template operator()<most>(first);
  if constexpr (most > 1)
    if (first < rows)
      by_rows<most - 1>(rows - first, [&]<int count>(int64_t at) { part.template operator()<count>(first + at); });
}

template <ProductKind kind, bool alone>
void by_blocks(const PanelProduct& product, const Place& place) {
  by_rows<kRegisterRows>(product.rows, [&]<int rows>(int64_t first) {
    const Place block = place.from(first);
    if (product.columns > 48) return multiply_block<kind, alone, rows, kVectors>(block);
    for (int64_t column = 0; column < product.columns; column += 16)
      multiply_block<kind, alone, rows, 1>(block.from_column(column));
  });
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
  product.next ? by_blocks<kind, false>(product, place) : by_blocks<kind, true>(product, place);
}

/// The sum of the inputs of a group.
inline int sum_of(const int8_t* x, int64_t count) {
  int sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += x[i];
  return sum;
}

template <int rows>
TESSERA_INT8 void int4_rows(const Int4Product& product, int64_t first, const char* panel, float* out, int64_t stride) {
  __m512 sums[rows][kVectors];
  TESSERA_UNROLL
  for (auto& row : sums) TESSERA_UNROLL
  for (auto& sum : row) sum = _mm512_setzero_ps();
  const int8_t* x = product.x + first * product.x_stride;
  const int64_t groups = product.inputs / product.group;
  const __m512i low = _mm512_set1_epi8(15);
  for (int64_t group = 0; group < groups; ++group) {
    __m512i dots[rows][kVectors];
    TESSERA_UNROLL
    for (int row = 0; row < rows; ++row) {  // weights are stored plus 8
      const int above = -8 * sum_of(x + row * product.x_stride + group * product.group, product.group);
      TESSERA_UNROLL
      for (auto& dot : dots[row]) dot = _mm512_set1_epi32(above);
    }
    for (int64_t eight = group * product.group; eight < (group + 1) * product.group; eight += 8, panel += kStep) {
      fetch(panel);
      TESSERA_UNROLL
      for (int v = 0; v < kVectors; ++v) {
        const __m512i both = _mm512_loadu_si512(panel + int64_t{64} * v);
        const __m512i before = _mm512_and_si512(both, low);
        const __m512i after = _mm512_and_si512(_mm512_srli_epi16(both, 4), low);
        TESSERA_UNROLL
        for (int row = 0; row < rows; ++row) {
          const int8_t* at = x + row * product.x_stride + eight;
          dots[row][v] = _mm512_dpbusd_epi32(dots[row][v], before, _mm512_set1_epi32(word_at(at)));
          dots[row][v] = _mm512_dpbusd_epi32(dots[row][v], after, _mm512_set1_epi32(word_at(at + 4)));
        }
      }
    }
    TESSERA_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      const auto* halves = reinterpret_cast<const __m256i*>(product.weight_scales + group * 64 + int64_t{16} * v);
      const __m512 scale = _mm512_cvtph_ps(_mm256_loadu_si256(halves));
      TESSERA_UNROLL
      for (int row = 0; row < rows; ++row) {
        const __m512 both = _mm512_mul_ps(scale, _mm512_set1_ps(product.x_scales[(first + row) * groups + group]));
        sums[row][v] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots[row][v]), both, sums[row][v]);
      }
    }
  }
  TESSERA_UNROLL
  for (int row = 0; row < rows; ++row) TESSERA_UNROLL
  for (int v = 0; v < kVectors; ++v) _mm512_storeu_ps(out + (first + row) * stride + int64_t{16} * v, sums[row][v]);
}

}  // namespace

void multiply_bfloat16(const PanelProduct& product, const void* x, const void* panel, float* sums) {
  by_blocks<ProductKind::kBfloat16>(product, x, panel, sums);
}

void multiply_int8(const PanelProduct& product, const void* x, const void* panel, int32_t* sums) {
  by_blocks<ProductKind::kInt8>(product, x, panel, sums);
}

void multiply_int4(const Int4Product& product, const uint8_t* panel, float* sums, int64_t sums_stride) {
  by_rows<2>(product.rows, [&]<int rows>(int64_t first) {
    int4_rows<rows>(product, first, reinterpret_cast<const char*>(panel), sums, sums_stride);
  });
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
void multiply_int4(const Int4Product&, const uint8_t*, float*, int64_t) {}
bool has_products_of(ProductKind kind) { return kind == ProductKind::kFloat32; }
}  // namespace tessera::cpu

#endif
