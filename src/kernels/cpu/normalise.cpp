#include "kernels/cpu/normalise.h"

#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/normalise.cpp"
#include <hwy/foreach_target.h>
// After the above.
#include "kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tessera::HWY_NAMESPACE {

/// The sum of what each(vector) makes of the numbers.
template <class T, class Each>
HWY_INLINE float sum_over(const T* x, size_t count, const Each& each) {
  Vector sum = hn::Zero(Floats());
  size_t at = 0;
  for (; at + lanes() <= count; at += lanes()) sum = hn::Add(sum, each(load(x + at)));
  float total = hn::GetLane(hn::SumOfLanes(Floats(), sum));
  if (at == count) return total;
  const Vector rest = each(load_some(x + at, count - at));
  return total + hn::GetLane(hn::SumOfLanes(Floats(), hn::IfThenElseZero(hn::FirstN(Floats(), count - at), rest)));
}

template <class T, class Out>
HWY_INLINE float normalise_as(const cpu::Norm& norm, const T* x, Out* out, Out* normalised) {
  const auto dim = static_cast<size_t>(norm.dim);
  const float mean = norm.bias ? sum_over(x, dim, [](Vector v) HWY_ATTR { return v; }) / static_cast<float>(dim) : 0;
  const Vector centre = of(mean);
  const float squares = sum_over(x, dim, [&](Vector v) HWY_ATTR {
    const Vector from_centre = hn::Sub(v, centre);
    return hn::Mul(from_centre, from_centre);
  });
  const float factor = 1 / std::sqrt(squares / static_cast<float>(dim) + norm.eps);
  by_vectors(norm.dim, [&](const auto& read, const auto& write) HWY_ATTR {
    Vector y = hn::Mul(hn::Sub(read(x), centre), of(factor));
    if (normalised) write(y, normalised);
    y = hn::Mul(y, read(norm.weight));
    write(norm.bias ? hn::Add(y, read(norm.bias)) : y, out);
  });
  return factor;
}

float normalise_row(const cpu::Norm& norm, const void* x, void* out, void* normalised) {
  const auto from = [&](const auto* numbers) HWY_ATTR {
    if (norm.narrow_out)
      return normalise_as(norm, numbers, static_cast<hwy::bfloat16_t*>(out), static_cast<hwy::bfloat16_t*>(normalised));
    return normalise_as(norm, numbers, static_cast<float*>(out), static_cast<float*>(normalised));
  };
  return norm.narrow_in ? from(static_cast<const hwy::bfloat16_t*>(x)) : from(static_cast<const float*>(x));
}

template <class T>
HWY_INLINE void scale_as(const cpu::Norm& norm, const T* normalised, T* out) {
  by_vectors(norm.dim, [&](const auto& read, const auto& write) HWY_ATTR {
    const Vector y = hn::Mul(read(normalised), read(norm.weight));
    write(norm.bias ? hn::Add(y, read(norm.bias)) : y, out);
  });
}

void scale_row(const cpu::Norm& norm, const void* normalised, void* out) {
  if (norm.narrow_out)
    return scale_as(norm, static_cast<const hwy::bfloat16_t*>(normalised), static_cast<hwy::bfloat16_t*>(out));
  scale_as(norm, static_cast<const float*>(normalised), static_cast<float*>(out));
}

template <class T>
HWY_INLINE void rotate_halves(const cpu::Angles& angles, T* x) {
  const auto pairs = static_cast<size_t>(angles.pairs);
  for (size_t at = 0; at < pairs; at += lanes()) {
    const size_t count = HWY_MIN(lanes(), pairs - at);
    const auto read = [&](const auto* from)
                          HWY_ATTR { return count == lanes() ? load(from + at) : load_some(from + at, count); };
    const auto write = [&](Vector y, T* to) HWY_ATTR {
      if (count == lanes()) return store(y, to + at);
      store_some(y, to + at, count);
    };
    const Vector first = read(x), second = read(x + pairs), cosine = read(angles.cosine), sine = read(angles.sine);
    write(hn::NegMulAdd(second, sine, hn::Mul(first, cosine)), x);
    write(hn::MulAdd(first, sine, hn::Mul(second, cosine)), x + pairs);
  }
}

/// Pairs side by side: through memory, as vectors hold them apart.
template <class T>
HWY_INLINE void rotate_neighbours(const cpu::Angles& angles, T* x) {
  T apart[2 * hn::MaxLanes(Floats())];
  const auto pairs = static_cast<size_t>(angles.pairs);
  for (size_t at = 0; at < pairs; at += lanes()) {
    const size_t count = HWY_MIN(lanes(), pairs - at);
    for (size_t i = 0; i < count; ++i) apart[i] = x[2 * (at + i)], apart[count + i] = x[2 * (at + i) + 1];
    cpu::Angles part = angles;
    part.cosine += at, part.sine += at, part.pairs = static_cast<int64_t>(count);
    rotate_halves(part, apart);
    for (size_t i = 0; i < count; ++i) x[2 * (at + i)] = apart[i], x[2 * (at + i) + 1] = apart[count + i];
  }
}

void rotate_head(const cpu::Angles& angles, void* x, bool narrow) {
  const auto turn = [&](auto* numbers) HWY_ATTR {
    angles.adjacent ? rotate_neighbours(angles, numbers) : rotate_halves(angles, numbers);
  };
  if (narrow) return turn(static_cast<hwy::bfloat16_t*>(x));
  turn(static_cast<float*>(x));
}

}  // namespace tessera::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tessera {
HWY_EXPORT(normalise_row);
HWY_EXPORT(scale_row);
HWY_EXPORT(rotate_head);
namespace cpu {
float normalise(const Norm& norm, const void* x, void* out, void* normalised) {
  return HWY_DYNAMIC_DISPATCH(normalise_row)(norm, x, out, normalised);
}
void scale_and_shift(const Norm& norm, const void* normalised, void* out) {
  HWY_DYNAMIC_DISPATCH(scale_row)(norm, normalised, out);
}
void rotate(const Angles& angles, void* x, bool narrow) { HWY_DYNAMIC_DISPATCH(rotate_head)(angles, x, narrow); }
}  // namespace cpu
}  // namespace tessera
#endif
