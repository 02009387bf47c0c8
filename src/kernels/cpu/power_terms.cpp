#include "kernels/cpu/power_terms.h"

#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/power_terms.cpp"
#include <hwy/foreach_target.h>
// After the above.
#include "kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tessera::HWY_NAMESPACE {

/// Calls each(vector, place, count) for all of a row; behind its end the last vector has zeros.
template <class Each>
HWY_INLINE void over(const float* x, size_t dim, const Each& each) {
  size_t at = 0;
  for (; at + lanes() <= dim; at += lanes()) each(load(x + at), at, lanes());
  if (at < dim) each(load_some(x + at, dim - at), at, dim - at);
}

void evaluate_row(const cpu::Polynomial& polynomial, const float* x, float* out) {
  const auto dim = static_cast<size_t>(polynomial.dim);
  float cube = polynomial.cube, square = polynomial.square, linear = polynomial.linear;
  const Vector least = of(polynomial.normalised ? -HUGE_VALF : 0.0F);
  if (polynomial.normalised) {
    Vector sums[3] = {hn::Zero(Floats()), hn::Zero(Floats()), hn::Zero(Floats())};
    over(x, dim, [&](Vector v, size_t, size_t) HWY_ATTR {
      const Vector second = hn::Mul(v, v), third = hn::Mul(second, v);
      sums[0] = hn::Add(sums[0], second);
      sums[1] = hn::MulAdd(second, second, sums[1]);
      sums[2] = hn::MulAdd(third, third, sums[2]);
    });
    const auto scaled = [&](float weight, Vector sum) HWY_ATTR {
      const float mean = hn::GetLane(hn::SumOfLanes(Floats(), sum)) / static_cast<float>(polynomial.dim);
      return weight / std::sqrt(mean + polynomial.eps);
    };
    linear = scaled(linear, sums[0]), square = scaled(square, sums[1]), cube = scaled(cube, sums[2]);
  }
  const Vector third = of(cube), second = of(square), first = of(linear), constant = of(polynomial.constant);
  over(x, dim, [&](Vector v, size_t at, size_t count) HWY_ATTR {
    v = hn::Max(least, v);
    const Vector y = hn::MulAdd(hn::MulAdd(hn::MulAdd(third, v, second), v, first), v, constant);
    count == lanes() ? store(y, out + at) : store_some(y, out + at, count);
  });
}

}  // namespace tessera::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tessera {
HWY_EXPORT(evaluate_row);
namespace cpu {
void evaluate(const Polynomial& polynomial, const float* x, float* out) {
  HWY_DYNAMIC_DISPATCH(evaluate_row)(polynomial, x, out);
}
}  // namespace cpu
}  // namespace tessera
#endif
