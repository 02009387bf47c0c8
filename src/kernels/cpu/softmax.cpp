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
  const float* side_by_side = row.bias_stride == 1 ? row.bias : nullptr;
  for (auto at = static_cast<size_t>(row.begin); at < static_cast<size_t>(row.end); at += lanes()) {
    const size_t count = HWY_MIN(lanes(), static_cast<size_t>(row.end) - at);
    const bool whole = count == lanes();
    Vector x = score(whole ? load(row.scores + at) : load_some(row.scores + at, count));
    if (side_by_side) x = hn::Add(x, whole ? load(side_by_side + at) : load_some(side_by_side + at, count));
    whole ? store(x, row.scores + at) : store_some(x, row.scores + at, count);
  }
  if (row.bias && !side_by_side)
    for (int64_t key = row.begin; key < row.end; ++key) row.scores[key] += row.bias[key * row.bias_stride];
  if (row.mask)
    for (int64_t key = row.begin; key < row.end; ++key)
      if (!row.mask[key]) row.scores[key] = kHidden;
}

HWY_INLINE float largest_of(const float* scores, size_t begin, size_t end) {
  Vector most[4];
  for (auto& part : most) part = of(std::numeric_limits<float>::lowest());
  size_t at = begin;
  for (; at + 4 * lanes() <= end; at += 4 * lanes())
    for (size_t i = 0; i < 4; ++i) most[i] = hn::Max(most[i], load(scores + at + i * lanes()));
  for (; at + lanes() <= end; at += lanes()) most[0] = hn::Max(most[0], load(scores + at));
  if (at < end) {
    const auto real = hn::FirstN(Floats(), end - at);
    most[1] = hn::Max(most[1], hn::IfThenElse(real, load_some(scores + at, end - at), most[1]));
  }
  const Vector all = hn::Max(hn::Max(most[0], most[1]), hn::Max(most[2], most[3]));
  return hn::GetLane(hn::MaxOfLanes(Floats(), all));
}

/// e^(scale (score - largest)), never less than e^-87.
template <class Out>
HWY_INLINE Vector power_of(Vector score, Vector scale, Vector largest) {
  const Vector x = hn::Max(hn::Mul(hn::Sub(score, largest), scale), of(-87.0F));
  return sizeof(Out) == 2 ? coarse_exponential(x) : bounded_exponential(x);
}

template <class Out>
HWY_INLINE float exponentiate(const cpu::ScoreRow& row, float scale, Out* out) {
  const auto begin = static_cast<size_t>(row.begin), end = static_cast<size_t>(row.end);
  const Vector largest = of(largest_of(row.scores, begin, end)), factor = of(scale);
  Vector sum = hn::Zero(Floats());
  size_t at = begin;
  for (; at + lanes() <= end; at += lanes()) {
    const Vector power = power_of<Out>(load(row.scores + at), factor, largest);
    sum = hn::Add(sum, power);
    store(power, out + at);
  }
  size_t written = end;
  if (at < end) {
    const Vector scores = load_some(row.scores + at, end - at);
    const Vector power = hn::IfThenElseZero(hn::FirstN(Floats(), end - at), power_of<Out>(scores, factor, largest));
    sum = hn::Add(sum, power);
    if (at + lanes() <= static_cast<size_t>(row.filled))
      store(power, out + at), written = at + lanes();
    else
      store_some(power, out + at, end - at);
  }
  std::memset(static_cast<void*>(out), 0, begin * sizeof(Out));
  std::memset(static_cast<void*>(out + written), 0, (static_cast<size_t>(row.filled) - written) * sizeof(Out));
  return hn::GetLane(hn::SumOfLanes(Floats(), sum));
}

float weigh_row(const cpu::ScoreRow& row, bool narrow, void* weights) {
  const bool plain = !row.bias && !row.mask && row.cap == 0 && row.scale > 0;
  if (!plain) adjust(row);
  const float scale = plain ? row.scale : 1.0F;
  if (narrow) return exponentiate(row, scale, static_cast<hwy::bfloat16_t*>(weights));
  return exponentiate(row, scale, static_cast<float*>(weights));
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
float weigh(const ScoreRow& row, bool narrow, void* weights) {
  return HWY_DYNAMIC_DISPATCH(weigh_row)(row, narrow, weights);
}
float dot(const void* a, const void* b, int64_t count, bool narrow) {
  return HWY_DYNAMIC_DISPATCH(dot_rows)(a, b, count, narrow);
}
void add_scaled(float factor, const void* x, int64_t count, bool narrow, float* y) {
  HWY_DYNAMIC_DISPATCH(add_row)(factor, x, count, narrow, y);
}

}  // namespace cpu
}  // namespace tessera
#endif
