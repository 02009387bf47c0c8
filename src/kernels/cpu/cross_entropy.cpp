#include "kernels/cpu/cross_entropy.h"

#include <cmath>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/cross_entropy.cpp"
#include <hwy/foreach_target.h>
// After the above.
#include "kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tessera::HWY_NAMESPACE {

/// The last vector of a row has `lowest` where the row has ended.
template <class T>
HWY_INLINE Vector load_or_lowest(const T* from, size_t count) {
  if (count == lanes()) return load(from);
  return hn::IfThenElse(hn::FirstN(Floats(), count), load_some(from, count), of(std::numeric_limits<float>::lowest()));
}

template <class T>
HWY_INLINE float cross_entropy_as(const cpu::LogitRow& row, const T* logits, T* gradient) {
  const auto count = static_cast<size_t>(row.count);
  Vector most = of(std::numeric_limits<float>::lowest()), sum = hn::Zero(Floats());
  for (size_t at = 0; at < count; at += lanes())
    most = hn::Max(most, load_or_lowest(logits + at, HWY_MIN(lanes(), count - at)));
  const float largest = hn::GetLane(hn::MaxOfLanes(Floats(), most));
  for (size_t at = 0; at < count; at += lanes())
    sum = hn::Add(sum, exponential(hn::Sub(load_or_lowest(logits + at, HWY_MIN(lanes(), count - at)), of(largest))));
  const float all = largest + std::log(hn::GetLane(hn::SumOfLanes(Floats(), sum)));
  by_vectors(row.count, [&](const auto& read, const auto& write) HWY_ATTR {
    write(hn::Mul(exponential(hn::Sub(read(logits), of(all))), of(row.factor)), gradient);
  });
  const float own = hn::GetLane(load_some(logits + row.label, 1));
  store_some(of((std::exp(own - all) - 1) * row.factor), gradient + row.label, 1);
  return all - own;
}

float cross_entropy_of(const cpu::LogitRow& row, void* gradient) {
  if (row.narrow)
    return cross_entropy_as(row, static_cast<const hwy::bfloat16_t*>(row.logits),
                            static_cast<hwy::bfloat16_t*>(gradient));
  return cross_entropy_as(row, static_cast<const float*>(row.logits), static_cast<float*>(gradient));
}

}  // namespace tessera::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tessera {
HWY_EXPORT(cross_entropy_of);
namespace cpu {
float cross_entropy(const LogitRow& row, void* gradient) {
  return HWY_DYNAMIC_DISPATCH(cross_entropy_of)(row, gradient);
}
}  // namespace cpu
}  // namespace tessera
#endif
