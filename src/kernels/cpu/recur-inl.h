// What recurrences and their gradients share. Included once per instruction set.
#if defined(TESSERA_KERNELS_CPU_RECUR_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef TESSERA_KERNELS_CPU_RECUR_INL_H
#undef TESSERA_KERNELS_CPU_RECUR_INL_H
#else
#define TESSERA_KERNELS_CPU_RECUR_INL_H
#endif

#include <algorithm>

#include "kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tessera::HWY_NAMESPACE {

/// The channels of one vector: where they begin, and how many they are.
struct Part {
  int64_t at;
  size_t count;

  HWY_INLINE Vector read(const float* from) const {
    return count == lanes() ? load(from + at) : load_some(from + at, count);
  }
  HWY_INLINE void write(Vector x, float* to) const {
    count == lanes() ? store(x, to + at) : store_some(x, to + at, count);
  }
};

template <class Work>
HWY_INLINE void by_parts(int64_t channels, const Work& work) {
  const auto width = static_cast<int64_t>(lanes());
  for (int64_t at = 0; at < channels; at += width) work(Part{at, static_cast<size_t>(std::min(width, channels - at))});
}

/// A sum of values and one of their weights, both divided by exp(scale). The largest weight is 1, or there is none.
struct Mean {
  Vector values, weights, scale;

  // Written out, since those that the compiler makes are not for the instruction set.
  HWY_INLINE Mean() {}
  HWY_INLINE Mean(Vector values_, Vector weights_, Vector scale_) : values(values_), weights(weights_), scale(scale_) {}

  /// With another value, of weight exp(key).
  HWY_INLINE Mean with(Vector value, Vector key) const {
    const Vector apart = hn::Sub(key, scale), smaller = exponential(hn::Neg(hn::Abs(apart)));
    const auto newer = hn::Gt(apart, hn::Zero(Floats()));
    const Vector kept = hn::IfThenElse(newer, smaller, of(1)), entered = hn::IfThenElse(newer, of(1), smaller);
    return {hn::MulAdd(kept, values, hn::Mul(entered, value)), hn::MulAdd(kept, weights, entered), hn::Max(key, scale)};
  }

  static HWY_INLINE Mean read(const Part& part, const float* from, int64_t step) {
    return {part.read(from), part.read(from + step), part.read(from + 2 * step)};
  }
  HWY_INLINE void write(const Part& part, float* to, int64_t step) const {
    part.write(values, to), part.write(weights, to + step), part.write(scale, to + 2 * step);
  }
};

}  // namespace tessera::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
