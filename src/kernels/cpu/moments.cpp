#include "kernels/cpu/moments.h"

#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/moments.cpp"
#include <hwy/foreach_target.h>
// After the above.
#include "kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tessera::HWY_NAMESPACE {

void move_all(const cpu::Moments& moments, const AdamWStep& step) {
  const Vector beta1 = of(step.beta1), beta2 = of(step.beta2), kept = of(1 - step.rate * step.weight_decay);
  const Vector rest1 = of(1 - step.beta1), rest2 = of(1 - step.beta2), eps = of(step.eps);
  const Vector rate = of(step.rate / step.correction1), root = of(1 / std::sqrt(step.correction2));
  const auto count = static_cast<size_t>(moments.count);
  for (size_t at = 0; at < count; at += lanes()) {
    const size_t some = HWY_MIN(lanes(), count - at);
    const auto get = [&](const float* from)
                         HWY_ATTR { return some == lanes() ? load(from + at) : load_some(from + at, some); };
    const auto put = [&](Vector x, float* to)
                         HWY_ATTR { some == lanes() ? store(x, to + at) : store_some(x, to + at, some); };
    const Vector gradient = get(moments.gradients);
    const Vector mean = hn::MulAdd(get(moments.means), beta1, hn::Mul(gradient, rest1));
    const Vector square = hn::MulAdd(get(moments.squares), beta2, hn::Mul(hn::Mul(gradient, gradient), rest2));
    const Vector size = hn::MulAdd(hn::Sqrt(square), root, eps);
    put(mean, moments.means);
    put(square, moments.squares);
    put(hn::NegMulAdd(rate, hn::Div(mean, size), hn::Mul(get(moments.weights), kept)), moments.weights);
  }
}

}  // namespace tessera::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tessera {
HWY_EXPORT(move_all);
namespace cpu {
void move_weights(const Moments& moments, const AdamWStep& step) { HWY_DYNAMIC_DISPATCH(move_all)(moments, step); }
}  // namespace cpu
}  // namespace tessera
#endif
