// What the files with guarded AVX-512 intrinsics share. For x86-64 alone.
#pragma once
// GCC 12 takes what its own header leaves undefined on purpose for a mistake (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>

#include <cstdint>
#include <cstring>

// Sums are in registers where the loops over them are written out.
#define TESSERA_UNROLL _Pragma("GCC unroll 8")
// A template has one target for all its kinds; what a kind does not name, the compiler has no occasion to use.
#define TESSERA_DOTS __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16,avx512vnni")))
#define TESSERA_INT8 __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))

namespace tessera::cpu {

constexpr int kVectors = 4;             // of 16 outputs in a panel
constexpr int64_t kStep = 256;          // bytes of one group of inputs of a panel
constexpr int64_t kAhead = 16 * kStep;  // how far ahead memory is asked for

/// Asks for as many lines as there are vectors, of the step that comes so much later.
template <int vectors>
inline void fetch(const char* at) {
  for (int64_t line = 0; line < 64 * vectors; line += 64) _mm_prefetch(at + kAhead + line, _MM_HINT_T0);
}

inline int word_at(const void* at) {
  int word;
  std::memcpy(&word, at, sizeof(word));
  return word;
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

/// Calls part.operator()<rows>() for a number of rows up to `most`.
template <int most, class Part>
void with_rows(int64_t rows, const Part& part) {
  if (rows == most) return part.template operator()<most>();
  if constexpr (most > 1) with_rows<most - 1>(rows, part);
}

}  // namespace tessera::cpu
