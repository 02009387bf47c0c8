#include "kernels/cpu/avx512_kept.h"

#if defined(__x86_64__)
#include <algorithm>
#include <array>

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

/// For each place of two of four inputs (first + 4 x second), the bytes of a lane that hold these inputs: two bytes an
/// input or one. Bytes of the lane before `begin`, and behind what is found, become 0.
constexpr std::array<uint8_t, 64> chosen_bytes(int size, int begin, int from) {
  std::array<uint8_t, 64> bytes{};
  for (int place = 0; place < 16; ++place)
    for (int byte = 0; byte < 4; ++byte) {
      const int at = byte - begin, input = at < size ? place % 4 : place / 4;
      const bool found = at >= 0 && at < 2 * size;
      bytes[place * 4 + byte] = static_cast<uint8_t>(found ? from + input * size + at % size : 0x80);
    }
  return bytes;
}

constexpr std::array<uint8_t, 64> kOfPairs = chosen_bytes(2, 0, 0);                                     // bfloat16
constexpr std::array<uint8_t, 64> kOfFirst = chosen_bytes(1, 0, 0), kOfSecond = chosen_bytes(1, 2, 4);  // int8

/// For every place, the inputs of a row that it chooses out of these eight bytes.
TESSERA_DOTS inline __m512i choices(const char* x, const std::array<uint8_t, 64>& bytes) {
  int64_t inputs;
  std::memcpy(&inputs, x, sizeof(inputs));
  return _mm512_shuffle_epi8(_mm512_set1_epi64(inputs), _mm512_loadu_si512(bytes.data()));
}

struct SparsePlace {
  const char *x, *kept, *places;
  int64_t x_stride, steps;  // bytes; of 32 inputs
  char* sums;
  int64_t sums_stride;  // bytes
  bool add = false;     // to the sums

  SparsePlace from(int64_t row) const {
    SparsePlace part = *this;
    part.x += row * x_stride;
    part.sums += row * sums_stride;
    return part;
  }
  template <ProductKind kind>
  SparsePlace from_step(int64_t step, int64_t count) const {
    constexpr int64_t together = inputs_together(kind);
    SparsePlace part = *this;
    part.x += step * 128 / together;
    part.kept += step * 16 / together * kStep;
    part.places += step * kStep;
    part.steps = count;
    part.add = step > 0;
    return part;
  }
  void* row_of_sums(int row, int vector) const { return sums + row * sums_stride + int64_t{64} * vector; }
};

/// Two weights of each output for every place: one word of bfloat16, or with the next four inputs one of int8.
template <ProductKind kind, int rows>
TESSERA_DOTS void sparse_rows(const SparsePlace& at) {
  constexpr bool bytes = kind == ProductKind::kInt8;
  __m512i sums[rows][kVectors];
  TESSERA_UNROLL
  for (int row = 0; row < rows; ++row) TESSERA_UNROLL
  for (int v = 0; v < kVectors; ++v)
    sums[row][v] = at.add ? _mm512_loadu_si512(at.row_of_sums(row, v)) : _mm512_setzero_si512();
  const char *kept = at.kept, *x = at.x;
  for (int64_t step = 0; step < at.steps; ++step) {
    const char* words = at.places + step * kStep;
    __m512i places[kVectors];
    TESSERA_UNROLL
    for (int v = 0; v < kVectors; ++v) places[v] = _mm512_loadu_si512(words + int64_t{64} * v);
    fetch<kVectors>(words);
    for (int part = 0; part < (bytes ? 4 : 8); ++part, kept += kStep, x += 8) {
      fetch<kVectors>(kept);
      __m512i first[rows], second[rows];
      TESSERA_UNROLL
      for (int row = 0; row < rows; ++row) {
        first[row] = choices(x + row * at.x_stride, bytes ? kOfFirst : kOfPairs);
        if constexpr (bytes) second[row] = choices(x + row * at.x_stride, kOfSecond);
      }
      TESSERA_UNROLL
      for (int v = 0; v < kVectors; ++v) {
        const __m512i weights = _mm512_loadu_si512(kept + int64_t{64} * v);
        const __m512i next = _mm512_srli_epi32(places[v], 4);
        TESSERA_UNROLL
        for (int row = 0; row < rows; ++row) {
          __m512i chosen = _mm512_permutexvar_epi32(places[v], first[row]);  // reads the lowest four bits alone
          if constexpr (bytes) {
            chosen = _mm512_or_si512(chosen, _mm512_permutexvar_epi32(next, second[row]));
            sums[row][v] = _mm512_dpbusd_epi32(sums[row][v], chosen, weights);
          } else {
            sums[row][v] = _mm512_castps_si512(
                _mm512_dpbf16_ps(_mm512_castsi512_ps(sums[row][v]), (__m512bh)chosen, (__m512bh)weights));
          }
        }
        places[v] = _mm512_srli_epi32(places[v], bytes ? 8 : 4);
      }
    }
  }
  TESSERA_UNROLL
  for (int row = 0; row < rows; ++row) TESSERA_UNROLL
  for (int v = 0; v < kVectors; ++v) _mm512_storeu_si512(at.row_of_sums(row, v), sums[row][v]);
}

/// The same of float32, where each weight is a word.
template <int rows>
TESSERA_INT8 void sparse_float_rows(const SparsePlace& at) {
  __m512 sums[rows][kVectors];
  TESSERA_UNROLL
  for (int row = 0; row < rows; ++row) TESSERA_UNROLL
  for (int v = 0; v < kVectors; ++v)
    sums[row][v] = at.add ? _mm512_loadu_ps(at.row_of_sums(row, v)) : _mm512_setzero_ps();
  const char *kept = at.kept, *x = at.x;
  for (int64_t step = 0; step < at.steps; ++step) {
    __m512i places[kVectors];
    TESSERA_UNROLL
    for (int v = 0; v < kVectors; ++v) places[v] = _mm512_loadu_si512(at.places + step * kStep + int64_t{64} * v);
    fetch<kVectors>(at.places + step * kStep);
    for (int four = 0; four < 8; ++four, x += 16)
      for (int number = 0; number < 2; ++number, kept += kStep) {
        fetch<kVectors>(kept);
        TESSERA_UNROLL
        for (int v = 0; v < kVectors; ++v) {
          const __m512 weights = _mm512_loadu_ps(kept + int64_t{64} * v);
          TESSERA_UNROLL
          for (int row = 0; row < rows; ++row) {  // four times the same four inputs: two bits choose one
            const __m128 inputs = _mm_loadu_ps(reinterpret_cast<const float*>(x + row * at.x_stride));
            const __m512 chosen = _mm512_permutexvar_ps(places[v], _mm512_broadcast_f32x4(inputs));
            sums[row][v] = _mm512_fmadd_ps(chosen, weights, sums[row][v]);
          }
          places[v] = _mm512_srli_epi32(places[v], 2);
        }
      }
  }
  TESSERA_UNROLL
  for (int row = 0; row < rows; ++row) TESSERA_UNROLL
  for (int v = 0; v < kVectors; ++v) _mm512_storeu_ps(at.row_of_sums(row, v), sums[row][v]);
}

/// More rows than the registers hold go over the panel in turns, a part of it in the first cache at a time.
template <ProductKind kind>
void sparse_of_kind(int64_t rows, const SparsePlace& place) {
  constexpr int64_t most = 4, turn = 4 * inputs_together(kind) / 2;  // rows; steps
  const int64_t each = rows <= most ? place.steps : turn;
  for (int64_t step = 0; step < place.steps; step += each) {
    const SparsePlace part = place.from_step<kind>(step, std::min(each, place.steps - step));
    by_rows<most>(rows, [&]<int count>(int64_t first) {
      if constexpr (kind == ProductKind::kFloat32)
        sparse_float_rows<count>(part.from(first));
      else
        sparse_rows<kind, count>(part.from(first));
    });
  }
}

}  // namespace

void multiply_int4(const Int4Product& product, const uint8_t* panel, float* sums, int64_t sums_stride) {
  with_rows<kFewRows>(product.rows, [&]<int rows>() {
    int4_rows<rows>(product, reinterpret_cast<const char*>(panel), sums, sums_stride);
  });
}

void multiply_sparse(const SparseProduct& product, const void* x, const void* kept, const void* places, void* sums) {
  const SparsePlace place{static_cast<const char*>(x),
                          static_cast<const char*>(kept),
                          static_cast<const char*>(places),
                          product.x_stride * 4 / inputs_together(product.kind),
                          product.inputs / 32,
                          static_cast<char*>(sums),
                          product.sums_stride * 4};
  if (product.kind == ProductKind::kFloat32) return sparse_of_kind<ProductKind::kFloat32>(product.rows, place);
  product.kind == ProductKind::kInt8 ? sparse_of_kind<ProductKind::kInt8>(product.rows, place)
                                     : sparse_of_kind<ProductKind::kBfloat16>(product.rows, place);
}

}  // namespace tessera::cpu

#else

namespace tessera::cpu {
void multiply_int4(const Int4Product&, const uint8_t*, float*, int64_t) {}
void multiply_sparse(const SparseProduct&, const void*, const void*, const void*, void*) {}
}  // namespace tessera::cpu

#endif
