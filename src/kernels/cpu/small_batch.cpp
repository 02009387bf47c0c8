#include "kernels/cpu/small_batch.h"

#include <cstring>

// Highway 1.0 has no word for the dot products of bfloat16 and of bytes.
#if defined(__x86_64__)
// GCC 12 takes what its own header leaves undefined on purpose for a mistake (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>

#define TESSERA_DOT_BFLOAT16 __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16")))
#define TESSERA_DOT_INT8 __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))

namespace tessera::cpu {
namespace {

constexpr int64_t kVectors = 4;         // of 16 outputs in a panel
constexpr int64_t kStep = 256;          // bytes of one group of inputs of a panel
constexpr int64_t kAhead = 16 * kStep;  // how far ahead memory is asked for

inline void fetch(const char* at) {
  for (int64_t line = 0; line < kStep; line += 64) _mm_prefetch(at + kAhead + line, _MM_HINT_T0);
}

template <class T>
inline T word_at(const void* at) {
  T word;
  std::memcpy(&word, at, sizeof(word));
  return word;
}

template <int rows>
TESSERA_DOT_BFLOAT16 void bfloat16_rows(const FewRows& few, int64_t first, const char* panel) {
  __m512 sums[rows][kVectors];
  for (auto& row : sums)
    for (auto& sum : row) sum = _mm512_setzero_ps();
  const char* x = static_cast<const char*>(few.x) + first * few.x_stride * 2;
  for (int64_t pair = 0; pair < few.inputs / 2; ++pair, panel += kStep) {
    fetch(panel);
    __m512i weights[kVectors];
    for (int64_t v = 0; v < kVectors; ++v) weights[v] = _mm512_loadu_si512(panel + 64 * v);
    for (int row = 0; row < rows; ++row) {
      const __m512i two = _mm512_set1_epi32(word_at<int>(x + row * few.x_stride * 2 + 4 * pair));
      for (int64_t v = 0; v < kVectors; ++v)
        sums[row][v] = _mm512_dpbf16_ps(sums[row][v], (__m512bh)weights[v], (__m512bh)two);
    }
  }
  for (int row = 0; row < rows; ++row)
    for (int64_t v = 0; v < kVectors; ++v)
      _mm512_storeu_ps(few.sums + (first + row) * few.sums_stride + 16 * v, sums[row][v]);
}

template <int rows>
TESSERA_DOT_INT8 void int8_rows(const FewRows& few, int64_t first, const char* panel) {
  __m512i sums[rows][kVectors];
  for (auto& row : sums)
    for (auto& sum : row) sum = _mm512_setzero_si512();
  const char* x = static_cast<const char*>(few.x) + first * few.x_stride;
  for (int64_t four = 0; four < few.inputs / 4; ++four, panel += kStep) {
    fetch(panel);
    __m512i weights[kVectors];
    for (int64_t v = 0; v < kVectors; ++v) weights[v] = _mm512_loadu_si512(panel + 64 * v);
    for (int row = 0; row < rows; ++row) {
      const __m512i bytes = _mm512_set1_epi32(word_at<int>(x + row * few.x_stride + 4 * four));
      for (int64_t v = 0; v < kVectors; ++v) sums[row][v] = _mm512_dpbusd_epi32(sums[row][v], bytes, weights[v]);
    }
  }
  for (int row = 0; row < rows; ++row)
    for (int64_t v = 0; v < kVectors; ++v)
      _mm512_storeu_si512(few.sums + (first + row) * few.sums_stride + 16 * v, sums[row][v]);
}

/// The sum of four bytes.
inline int sum_of(const int8_t* x, int64_t count) {
  int sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += x[i];
  return sum;
}

template <int rows>
TESSERA_DOT_INT8 void int4_rows(const FewRows& few, int64_t first, const char* panel, const GroupScales& scales) {
  __m512 sums[rows][kVectors];
  for (auto& row : sums)
    for (auto& sum : row) sum = _mm512_setzero_ps();
  const int8_t* x = static_cast<const int8_t*>(few.x) + first * few.x_stride;
  const int64_t groups = few.inputs / scales.group;
  const __m512i low = _mm512_set1_epi8(15);
  for (int64_t group = 0; group < groups; ++group) {
    __m512i dots[rows][kVectors];
    for (int row = 0; row < rows; ++row) {  // weights are stored plus 8
      const int above = -8 * sum_of(x + row * few.x_stride + group * scales.group, scales.group);
      for (auto& dot : dots[row]) dot = _mm512_set1_epi32(above);
    }
    for (int64_t eight = group * scales.group; eight < (group + 1) * scales.group; eight += 8, panel += kStep) {
      fetch(panel);
      for (int64_t v = 0; v < kVectors; ++v) {
        const __m512i both = _mm512_loadu_si512(panel + 64 * v);
        const __m512i before = _mm512_and_si512(both, low);
        const __m512i after = _mm512_and_si512(_mm512_srli_epi16(both, 4), low);
        for (int row = 0; row < rows; ++row) {
          const int8_t* at = x + row * few.x_stride + eight;
          dots[row][v] = _mm512_dpbusd_epi32(dots[row][v], before, _mm512_set1_epi32(word_at<int>(at)));
          dots[row][v] = _mm512_dpbusd_epi32(dots[row][v], after, _mm512_set1_epi32(word_at<int>(at + 4)));
        }
      }
    }
    for (int64_t v = 0; v < kVectors; ++v) {
      const auto* halves = reinterpret_cast<const __m256i*>(scales.weights + group * 64 + 16 * v);
      const __m512 scale = _mm512_cvtph_ps(_mm256_loadu_si256(halves));
      for (int row = 0; row < rows; ++row) {
        const __m512 both = _mm512_mul_ps(scale, _mm512_set1_ps(scales.x[(first + row) * groups + group]));
        sums[row][v] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots[row][v]), both, sums[row][v]);
      }
    }
  }
  for (int row = 0; row < rows; ++row)
    for (int64_t v = 0; v < kVectors; ++v)
      _mm512_storeu_ps(few.sums + (first + row) * few.sums_stride + 16 * v, sums[row][v]);
}

/// Calls part.operator()<rows>(first) for the rows, at most `most` at once.
template <int most, class Part>
void by_rows(int64_t rows, const Part& part) {
  int64_t first = 0;
  for (; first + most <= rows; first += most) part.template operator()<most>(first);
  if constexpr (most > 1)
    if (first < rows)
      by_rows<most / 2>(rows - first, [&]<int count>(int64_t at) { part.template operator()<count>(first + at); });
}

}  // namespace

bool can_dot_bfloat16() {
  static const bool can = __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512bf16");
  return can;
}
bool can_dot_int8() {
  static const bool can = __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vnni");
  return can;
}

void dot_bfloat16(const FewRows& few, const void* panel) {
  by_rows<4>(few.rows,
             [&]<int rows>(int64_t first) { bfloat16_rows<rows>(few, first, static_cast<const char*>(panel)); });
}
void dot_int8(const FewRows& few, const int8_t* panel) {
  by_rows<4>(few.rows,
             [&]<int rows>(int64_t first) { int8_rows<rows>(few, first, reinterpret_cast<const char*>(panel)); });
}
void dot_int4(const FewRows& few, const uint8_t* panel, const GroupScales& scales) {
  by_rows<2>(few.rows, [&]<int rows>(int64_t first) {
    int4_rows<rows>(few, first, reinterpret_cast<const char*>(panel), scales);
  });
}

}  // namespace tessera::cpu

#else

namespace tessera::cpu {
bool can_dot_bfloat16() { return false; }
bool can_dot_int8() { return false; }
void dot_bfloat16(const FewRows&, const void*) {}
void dot_int8(const FewRows&, const int8_t*) {}
void dot_int4(const FewRows&, const uint8_t*, const GroupScales&) {}
}  // namespace tessera::cpu

#endif
