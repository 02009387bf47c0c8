#include "kernels/cpu/score_gradient.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/score_gradient.cpp"
#include <hwy/foreach_target.h>
// After the above.
#include "kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tessera::HWY_NAMESPACE {

/// Narrow numbers never catch up with the wide ones of their row that are still to be read.
template <class Out>
HWY_INLINE void gradients_of(const cpu::WeightRow& row) {
  auto* weights = reinterpret_cast<Out*>(row.weights);
  auto* to_scores = reinterpret_cast<Out*>(row.to_weights);
  const Vector factor = of(row.factor), shared = of(row.shared), scale = of(row.scale);
  for (size_t at = 0; at < static_cast<size_t>(row.count); at += lanes()) {
    const Vector weight = hn::Mul(load(row.weights + at), factor);
    Vector gain = hn::Mul(hn::Mul(weight, scale), hn::Sub(load(row.to_weights + at), shared));
    if (row.slopes) gain = hn::Mul(gain, load(row.slopes + at));
    store(weight, weights + at);
    store(gain, to_scores + at);
  }
}

void gradients_of_row(const cpu::WeightRow& row, bool narrow) {
  if (narrow) return gradients_of<hwy::bfloat16_t>(row);
  gradients_of<float>(row);
}

void slopes_of_cap(const float* scores, int64_t count, float scale, float cap, float* slopes) {
  const Vector factor = of(scale / cap);
  for (size_t at = 0; at < static_cast<size_t>(count); at += lanes()) {
    const Vector bounded = hyperbolic_tangent(hn::Mul(load(scores + at), factor));
    store(hn::NegMulAdd(bounded, bounded, of(1)), slopes + at);
  }
}

}  // namespace tessera::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tessera {
HWY_EXPORT(gradients_of_row);
HWY_EXPORT(slopes_of_cap);
namespace cpu {
void score_gradients(const WeightRow& row, bool narrow) { HWY_DYNAMIC_DISPATCH(gradients_of_row)(row, narrow); }
void cap_slopes(const float* scores, int64_t count, float scale, float cap, float* slopes) {
  HWY_DYNAMIC_DISPATCH(slopes_of_cap)(scores, count, scale, cap, slopes);
}
}  // namespace cpu
}  // namespace tessera
#endif
