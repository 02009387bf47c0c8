#include "kernels/cpu/norm_gradient.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/norm_gradient.cpp"
#include <hwy/foreach_target.h>
// After the above.
#include "kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tessera::HWY_NAMESPACE {

/// The means over a row that all of its numbers share: of the gradient by the normalised numbers, and of its product
/// with them. On the way, the row's share of the gradients of weight and bias.
struct Shared {
  float gradient, product;
};

template <class T>
HWY_INLINE Shared shared_of(const cpu::NormGradient& norm, const T* normalised, const T* gradient, float* to_weight,
                            float* to_bias) {
  Vector sum = hn::Zero(Floats()), product = hn::Zero(Floats());
  by_vectors(norm.dim, [&](const auto& read, const auto& write) HWY_ATTR {
    const Vector x = read(normalised), g = read(gradient), by_normalised = hn::Mul(g, read(norm.weight));
    write(hn::MulAdd(g, x, read(to_weight)), to_weight);
    if (to_bias) write(hn::Add(g, read(to_bias)), to_bias);
    sum = hn::Add(sum, by_normalised);
    product = hn::MulAdd(by_normalised, x, product);
  });
  const auto mean = [&](Vector x)
                        HWY_ATTR { return hn::GetLane(hn::SumOfLanes(Floats(), x)) / static_cast<float>(norm.dim); };
  return {norm.centred ? mean(sum) : 0, mean(product)};
}

template <class T, class X>
HWY_INLINE void back_as(const cpu::NormGradient& norm, const cpu::NormedRow& row, X* to_x, float* to_weight,
                        float* to_bias) {
  const auto* normalised = static_cast<const T*>(row.normalised);
  const auto* gradient = static_cast<const T*>(row.gradient);
  const Shared shared = shared_of(norm, normalised, gradient, to_weight, to_bias);
  by_vectors(norm.dim, [&](const auto& read, const auto& write) HWY_ATTR {
    const Vector y = hn::MulSub(read(gradient), read(norm.weight), of(shared.gradient));
    write(hn::Mul(hn::NegMulAdd(read(normalised), of(shared.product), y), of(row.factor)), to_x);
  });
}

void back_of_row(const cpu::NormGradient& norm, const cpu::NormedRow& row, void* to_x, float* to_weight,
                 float* to_bias) {
  const auto to = [&](auto* numbers) HWY_ATTR {
    if (norm.narrow) return back_as<hwy::bfloat16_t>(norm, row, numbers, to_weight, to_bias);
    back_as<float>(norm, row, numbers, to_weight, to_bias);
  };
  if (norm.narrow_x) return to(static_cast<hwy::bfloat16_t*>(to_x));
  to(static_cast<float*>(to_x));
}

}  // namespace tessera::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tessera {
HWY_EXPORT(back_of_row);
namespace cpu {
void normalise_back(const NormGradient& norm, const NormedRow& row, void* to_x, float* to_weight, float* to_bias) {
  HWY_DYNAMIC_DISPATCH(back_of_row)(norm, row, to_x, to_weight, to_bias);
}
}  // namespace cpu
}  // namespace tessera
#endif
