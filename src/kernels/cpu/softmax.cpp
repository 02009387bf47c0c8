#include "kernels/cpu/softmax.h"

#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/softmax.cpp"
#include <hwy/foreach_target.h>
// After the above.
#include "kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tessera::HWY_NAMESPACE {

constexpr float kHidden = std::numeric_limits<float>::lowest() / 2;

/// Scales, caps, shifts and hides the scores in place.
HWY_INLINE void adjust(const cpu::ScoreRow& row) {
  const auto score = [&](Vector x) HWY_ATTR {
    x = hn::Mul(x, of(row.scale));
    return row.cap > 0 ? hn::Mul(activated<Nonlinearity::kTanh>(hn::Div(x, of(row.cap))), of(row.cap)) : x;
  };
  for (auto at = static_cast<size_t>(row.begin); at < static_cast<size_t>(row.end); at += lanes()) {
    const size_t count = HWY_MIN(lanes(), static_cast<size_t>(row.end) - at);
    if (count == lanes())
      store(score(load(row.scores + at)), row.scores + at);
    else
      store_some(score(load_some(row.scores + at, count)), row.scores + at, count);
  }
  if (row.bias)
    for (int64_t key = row.begin; key < row.end; ++key) row.scores[key] += row.bias[key * row.bias_stride];
  if (row.mask)
    for (int64_t key = row.begin; key < row.end; ++key)
      if (!row.mask[key]) row.scores[key] = kHidden;
}

template <class Out>
HWY_INLINE float exponentiate(const cpu::ScoreRow& row, float largest, Out* out) {
  Vector sum = hn::Zero(Floats());
  const auto end = static_cast<size_t>(row.end);
  for (auto at = static_cast<size_t>(row.begin); at < end; at += lanes()) {
    const size_t count = HWY_MIN(lanes(), end - at);
    const Vector x = count == lanes() ? load(row.scores + at) : load_some(row.scores + at, count);
    const Vector all = exponential(hn::Sub(x, of(largest)));
    const Vector power = count == lanes() ? all : hn::IfThenElseZero(hn::FirstN(Floats(), count), all);
    sum = hn::Add(sum, power);
    if (count == lanes())
      store(power, out + at);
    else
      store_some(power, out + at, count);
  }
  std::memset(static_cast<void*>(out), 0, static_cast<size_t>(row.begin) * sizeof(Out));
  std::memset(static_cast<void*>(out + row.end), 0, static_cast<size_t>(row.filled - row.end) * sizeof(Out));
  return hn::GetLane(hn::SumOfLanes(Floats(), sum));
}

float weigh_row(const cpu::ScoreRow& row, bool narrow, void* weights) {
  adjust(row);
  Vector most = of(std::numeric_limits<float>::lowest());
  for (auto at = static_cast<size_t>(row.begin); at < static_cast<size_t>(row.end); at += lanes()) {
    const size_t count = HWY_MIN(lanes(), static_cast<size_t>(row.end) - at);
    const Vector x = count == lanes() ? load(row.scores + at) : load_some(row.scores + at, count);
    most = hn::Max(most, count == lanes() ? x : hn::IfThenElse(hn::FirstN(Floats(), count), x, most));
  }
  const float largest = hn::GetLane(hn::MaxOfLanes(Floats(), most));
  if (narrow) return exponentiate(row, largest, static_cast<hwy::bfloat16_t*>(weights));
  return exponentiate(row, largest, static_cast<float*>(weights));
}

template <class T>
HWY_INLINE float dot_of(const T* a, const T* b, size_t count) {
  Vector sum = hn::Zero(Floats());
  size_t at = 0;
  for (; at + lanes() <= count; at += lanes()) sum = hn::MulAdd(load(a + at), load(b + at), sum);
  if (at < count) sum = hn::MulAdd(load_some(a + at, count - at), load_some(b + at, count - at), sum);
  return hn::GetLane(hn::SumOfLanes(Floats(), sum));
}

float dot_rows(const void* a, const void* b, int64_t count, bool narrow) {
  const auto size = static_cast<size_t>(count);
  if (narrow) return dot_of(static_cast<const hwy::bfloat16_t*>(a), static_cast<const hwy::bfloat16_t*>(b), size);
  return dot_of(static_cast<const float*>(a), static_cast<const float*>(b), size);
}

template <class T>
HWY_INLINE void add_of(float factor, const T* x, size_t count, float* y) {
  size_t at = 0;
  for (; at + lanes() <= count; at += lanes()) store(hn::MulAdd(of(factor), load(x + at), load(y + at)), y + at);
  if (at == count) return;
  const Vector sum = hn::MulAdd(of(factor), load_some(x + at, count - at), load_some(y + at, count - at));
  store_some(sum, y + at, count - at);
}

void add_row(float factor, const void* x, int64_t count, bool narrow, float* y) {
  const auto size = static_cast<size_t>(count);
  if (narrow) return add_of(factor, static_cast<const hwy::bfloat16_t*>(x), size, y);
  add_of(factor, static_cast<const float*>(x), size, y);
}

}  // namespace tessera::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tessera {
HWY_EXPORT(weigh_row);
HWY_EXPORT(dot_rows);
HWY_EXPORT(add_row);

namespace cpu {
namespace {

constexpr int64_t kPanel = 64;

/// One word for each key and group of features, and zeros for the keys that fill up the last panel.
template <class Word>
void pack_words(const Word* keys, int64_t row_stride, int64_t count, int64_t words, int64_t filled, Word* panels) {
  for (int64_t first = 0; first < count; first += kPanel, panels += filled * kPanel) {
    const int64_t real = std::min(kPanel, count - first);
    for (int64_t word = 0; word < filled; ++word) {
      Word* out = panels + word * kPanel;
      if (word >= words) {
        std::fill_n(out, kPanel, Word(0));
        continue;
      }
      const Word* from = keys + first * row_stride + word;
      for (int64_t key = 0; key < real; ++key) out[key] = from[key * row_stride];
      std::fill(out + real, out + kPanel, Word(0));
    }
  }
}

}  // namespace

float weigh(const ScoreRow& row, bool narrow, void* weights) {
  return HWY_DYNAMIC_DISPATCH(weigh_row)(row, narrow, weights);
}
float dot(const void* a, const void* b, int64_t count, bool narrow) {
  return HWY_DYNAMIC_DISPATCH(dot_rows)(a, b, count, narrow);
}
void add_scaled(float factor, const void* x, int64_t count, bool narrow, float* y) {
  HWY_DYNAMIC_DISPATCH(add_row)(factor, x, count, narrow, y);
}

void pack_keys(const void* keys, int64_t row_stride, int64_t count, int64_t dim, bool narrow, void* panels) {
  if (narrow)
    return pack_words(static_cast<const uint32_t*>(keys), row_stride / 2, count, dim / 2, (dim + 31) / 32 * 16,
                      static_cast<uint32_t*>(panels));
  pack_words(static_cast<const uint32_t*>(keys), row_stride, count, dim, (dim + 15) / 16 * 16,
             static_cast<uint32_t*>(panels));
}

void pack_values(const void* values, int64_t row_stride, int64_t count, int64_t dim, bool narrow, void* panels) {
  const int64_t group = narrow ? 2 : 1, groups = (count + 16 * group - 1) / (16 * group) * 16;
  const auto pack = [&](const auto* from, auto* out) {
    for (int64_t first = 0; first < dim; first += kPanel)
      for (int64_t at = 0; at < groups; ++at, out += kPanel * group)
        for (int64_t i = 0; i < group; ++i) {
          const int64_t key = at * group + i, real = key < count ? std::min(kPanel, dim - first) : 0;
          const auto* row = from + key * row_stride + first;
          for (int64_t feature = 0; feature < real; ++feature) out[feature * group + i] = row[feature];
          for (int64_t feature = real; feature < kPanel; ++feature) out[feature * group + i] = 0;
        }
  };
  if (narrow) return pack(static_cast<const uint16_t*>(values), static_cast<uint16_t*>(panels));
  pack(static_cast<const uint32_t*>(values), static_cast<uint32_t*>(panels));
}

}  // namespace cpu
}  // namespace tessera
#endif
