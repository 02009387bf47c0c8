#include "kernels/cpu/avx512_kept.h"

#if defined(__x86_64__)
#include <algorithm>

#include "kernels/cpu/avx512-inl.h"

namespace tessera::cpu {
namespace {

/// One group of inputs: what it adds to the sums of `rows` rows and as many vectors of outputs. What is unpacked serves
/// all rows.
/// @param panel  the first of these outputs' weights
template <int rows, int vectors>
TESSERA_INT8 inline void int4_group(const Int4Product& product, int64_t group, int64_t column, const char* panel,
                                    float* out, int64_t stride) {
  __m512i dots[rows][vectors];
  const int32_t* x_sums = product.x_sums + group * rows;
  TESSERA_UNROLL
  for (int row = 0; row < rows; ++row) {  // weights are stored plus 8
    const __m512i above = _mm512_mullo_epi32(_mm512_set1_epi32(x_sums[row]), _mm512_set1_epi32(-8));
    TESSERA_UNROLL
    for (auto& dot : dots[row]) dot = above;
  }
  const __m512i low = _mm512_set1_epi8(15);
  const char* x = reinterpret_cast<const char*>(product.x) + group * product.group * rows;
  for (int64_t eight = 0; eight < product.group; eight += 8, panel += kStep, x += 8 * rows) {
    fetch<vectors>(panel);
    __m512i before[vectors], after[vectors];
    TESSERA_UNROLL
    for (int v = 0; v < vectors; ++v) {
      const __m512i both = _mm512_loadu_si512(panel + int64_t{64} * v);
      before[v] = _mm512_and_si512(both, low);
      after[v] = _mm512_and_si512(_mm512_srli_epi16(both, 4), low);
    }
    TESSERA_UNROLL
    for (int row = 0; row < rows; ++row) {
      const __m512i first = _mm512_set1_epi32(word_at(x + 8 * row)),
                    second = _mm512_set1_epi32(word_at(x + 8 * row + 4));
      TESSERA_UNROLL
      for (int v = 0; v < vectors; ++v) dots[row][v] = _mm512_dpbusd_epi32(dots[row][v], before[v], first);
      TESSERA_UNROLL
      for (int v = 0; v < vectors; ++v) dots[row][v] = _mm512_dpbusd_epi32(dots[row][v], after[v], second);
    }
  }
  const float* x_scales = product.x_scales + group * rows;
  TESSERA_UNROLL
  for (int v = 0; v < vectors; ++v) {
    const uint16_t* halves = product.weight_scales + group * 64 + column + int64_t{16} * v;
    const __m512 scale = _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(halves)));
    TESSERA_UNROLL
    for (int row = 0; row < rows; ++row) {
      float* sum = out + row * stride + column + int64_t{16} * v;
      const __m512 both = _mm512_mul_ps(scale, _mm512_set1_ps(x_scales[row]));
      const __m512 before = group > 0 ? _mm512_loadu_ps(sum) : _mm512_setzero_ps();
      _mm512_storeu_ps(sum, _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots[row][v]), both, before));
    }
  }
}

template <int rows>
TESSERA_INT8 void int4_rows(const Int4Product& product, const char* panel, float* out, int64_t stride) {
  constexpr int vectors = rows <= 4 ? kVectors : kVectors / 2;
  for (int64_t group = 0; group < product.inputs / product.group; ++group, panel += product.group / 8 * kStep)
    for (int64_t column = 0; column < 64; column += int64_t{16} * vectors)
      int4_group<rows, vectors>(product, group, column, panel + 4 * column, out, stride);
}

/// How the words of a pattern's places become what a permutation reads: (places & mask) | beside, word after word, with
/// the next places in the lowest bits. They are places in a window: the inputs that all numbers of one word choose
/// from.
struct Choice {
  uint32_t mask = 0, beside = 0;
  int bits = 0;         // of a place
  int64_t words = 0;    // of numbers for one of places
  int64_t window = 0;   // bytes
  int64_t sharing = 0;  // words that choose from the same window, as a power of two
};

/// Where a word has numbers of several groups, the inputs of these lie in the window one after the other.
constexpr Choice choice_of(ProductKind kind, const SparsePattern& pattern) {
  const int64_t together = inputs_together(kind), size = 4 / together, groups = together / pattern.kept;
  Choice choice{.bits = static_cast<int>(pattern.place_bits()),
                .words = pattern.places_of_word() / together,
                .window = pattern.of * size * std::max<int64_t>(1, groups)};
  for (int64_t i = 0; i < together; ++i) {
    choice.mask |= static_cast<uint32_t>(pattern.of - 1) << (8 * size * i);
    choice.beside |= static_cast<uint32_t>(i / pattern.kept * pattern.of) << (8 * size * i);
  }
  while (together << choice.sharing < pattern.kept) ++choice.sharing;
  return choice;
}

static_assert(std::all_of(kSparsePatterns.begin(), kSparsePatterns.end(), [](const SparsePattern& pattern) {
  constexpr int64_t vector = 64;
  return choice_of(ProductKind::kFloat32, pattern).window <= vector &&
         choice_of(ProductKind::kBfloat16, pattern).window <= vector &&
         choice_of(ProductKind::kInt8, pattern).window <= vector;
}));

struct SparsePlace {
  const char *x, *kept, *places;
  int64_t x_stride, steps;  // bytes; words of places
  char* sums;
  int64_t sums_stride;  // bytes
  Choice choice;
  bool add = false;  // to the sums

  SparsePlace from(int64_t row) const {
    SparsePlace part = *this;
    part.x += row * x_stride;
    part.sums += row * sums_stride;
    return part;
  }
  SparsePlace from_step(int64_t step, int64_t count) const {
    SparsePlace part = *this;
    part.x += window_at(step * choice.words);
    part.kept += step * choice.words * kStep;
    part.places += step * kStep;
    part.steps = count;
    part.add = step > 0;
    return part;
  }
  int64_t window_at(int64_t word) const { return (word >> choice.sharing) * choice.window; }
  void* row_of_sums(int row, int vector) const { return sums + row * sums_stride + int64_t{64} * vector; }
};

// As TESSERA_DOTS, with the permutation of bytes.
#define TESSERA_CHOICES __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16,avx512vnni,avx512vbmi")))

/// sums + weights * the inputs of a window that they belong to.
template <ProductKind kind>
TESSERA_CHOICES inline __m512i add_chosen(__m512i sums, __m512i places, __m512i window, __m512i weights) {
  if constexpr (kind == ProductKind::kInt8)
    return _mm512_dpbusd_epi32(sums, _mm512_permutexvar_epi8(places, window), weights);
  if constexpr (kind == ProductKind::kFloat32)
    return _mm512_castps_si512(_mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_permutexvar_epi32(places, window)),
                                               _mm512_castsi512_ps(weights), _mm512_castsi512_ps(sums)));
  return _mm512_castps_si512(_mm512_dpbf16_ps(_mm512_castsi512_ps(sums),
                                              (__m512bh)_mm512_permutexvar_epi16(places, window), (__m512bh)weights));
}

template <ProductKind kind, int rows>
TESSERA_CHOICES void sparse_rows(const SparsePlace& at) {
  constexpr int kMaskedOr = 0xEA;  // (a & b) | c
  __m512i sums[rows][kVectors];
  TESSERA_UNROLL
  for (int row = 0; row < rows; ++row) TESSERA_UNROLL
  for (int v = 0; v < kVectors; ++v)
    sums[row][v] = at.add ? _mm512_loadu_si512(at.row_of_sums(row, v)) : _mm512_setzero_si512();
  const __m512i mask = _mm512_set1_epi32(static_cast<int>(at.choice.mask)),
                beside = _mm512_set1_epi32(static_cast<int>(at.choice.beside));
  const __m128i bits = _mm_cvtsi32_si128(at.choice.bits);
  const __mmask64 in_window = ~uint64_t{0} >> (64 - at.choice.window);
  const char* kept = at.kept;
  for (int64_t step = 0, word = 0; step < at.steps; ++step) {
    const char* words = at.places + step * kStep;
    __m512i places[kVectors];
    TESSERA_UNROLL
    for (int v = 0; v < kVectors; ++v) places[v] = _mm512_loadu_si512(words + int64_t{64} * v);
    fetch<kVectors>(words);
    for (const int64_t end = word + at.choice.words; word < end; ++word, kept += kStep) {
      fetch<kVectors>(kept);
      const char* x = at.x + at.window_at(word);
      __m512i windows[rows];
      TESSERA_UNROLL
      for (int row = 0; row < rows; ++row) windows[row] = _mm512_maskz_loadu_epi8(in_window, x + row * at.x_stride);
      TESSERA_UNROLL
      for (int v = 0; v < kVectors; ++v) {
        const __m512i weights = _mm512_loadu_si512(kept + int64_t{64} * v);
        const __m512i chosen = _mm512_ternarylogic_epi32(places[v], mask, beside, kMaskedOr);
        TESSERA_UNROLL
        for (int row = 0; row < rows; ++row)
          sums[row][v] = add_chosen<kind>(sums[row][v], chosen, windows[row], weights);
        places[v] = _mm512_srl_epi32(places[v], bits);
      }
    }
  }
  TESSERA_UNROLL
  for (int row = 0; row < rows; ++row) TESSERA_UNROLL
  for (int v = 0; v < kVectors; ++v) _mm512_storeu_si512(at.row_of_sums(row, v), sums[row][v]);
}

/// More rows than the registers hold go over the panel in turns, a part of it in the first cache at a time.
template <ProductKind kind>
void sparse_of_kind(int64_t rows, const SparsePlace& place) {
  constexpr int64_t most = 4, turn = 32;  // rows; words of numbers
  const int64_t each = rows <= most ? place.steps : turn / place.choice.words;
  for (int64_t step = 0; step < place.steps; step += each) {
    const SparsePlace part = place.from_step(step, std::min(each, place.steps - step));
    by_rows<most>(rows, [&]<int count>(int64_t first) { sparse_rows<kind, count>(part.from(first)); });
  }
}

}  // namespace

void multiply_int4(const Int4Product& product, const uint8_t* panel, float* sums, int64_t sums_stride) {
  with_rows<kFewRows>(product.rows, [&]<int rows>() {
    int4_rows<rows>(product, reinterpret_cast<const char*>(panel), sums, sums_stride);
  });
}

void multiply_sparse(const SparseProduct& product, const void* x, const void* kept, const void* places, void* sums) {
  const SparsePattern& pattern = product.pattern;
  const SparsePlace place{static_cast<const char*>(x),
                          static_cast<const char*>(kept),
                          static_cast<const char*>(places),
                          product.x_stride * 4 / inputs_together(product.kind),
                          product.inputs / pattern.of * pattern.kept / pattern.places_of_word(),
                          static_cast<char*>(sums),
                          product.sums_stride * 4,
                          choice_of(product.kind, pattern)};
  if (product.kind == ProductKind::kFloat32) return sparse_of_kind<ProductKind::kFloat32>(product.rows, place);
  product.kind == ProductKind::kInt8 ? sparse_of_kind<ProductKind::kInt8>(product.rows, place)
                                     : sparse_of_kind<ProductKind::kBfloat16>(product.rows, place);
}

bool has_sparse_products(ProductKind kind) {
  static const bool chooses_bytes = __builtin_cpu_supports("avx512vbmi");
  return has_products_with_kept(kind) && (kind != ProductKind::kInt8 || chooses_bytes);
}

}  // namespace tessera::cpu

#else

namespace tessera::cpu {
void multiply_int4(const Int4Product&, const uint8_t*, float*, int64_t) {}
void multiply_sparse(const SparseProduct&, const void*, const void*, const void*, void*) {}
bool has_sparse_products(ProductKind) { return false; }
}  // namespace tessera::cpu

#endif
