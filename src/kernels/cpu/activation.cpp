#include "kernels/cpu/activation.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/activation.cpp"
#include <hwy/foreach_target.h>
// After the above.
#include "kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tessera::HWY_NAMESPACE {

/// An activated number and how it changes with its input.
struct Sloped {
  Vector value, slope;
};

/// x sigmoid(inner), where inner depends on x.
HWY_INLINE Sloped gated_by_sigmoid(Vector x, Vector inner, Vector inner_slope) {
  const Vector open = sigmoid(inner), value = hn::Mul(x, open);
  return {value, hn::MulAdd(hn::Mul(value, hn::Sub(of(1), open)), inner_slope, open)};
}

template <Nonlinearity kind>
HWY_INLINE Sloped sloped(Vector x) {
  if constexpr (kind == Nonlinearity::kGelu) {  // by the normal distribution and its density
    const Vector below = hn::MulAdd(error_function(hn::Mul(x, of(0.70710678F))), of(0.5F), of(0.5F));
    const Vector density = hn::Mul(exponential(hn::Mul(hn::Mul(x, x), of(-0.5F))), of(0.39894228F));
    return {hn::Mul(x, below), hn::MulAdd(x, density, below)};
  }
  if constexpr (kind == Nonlinearity::kGeluTanh) {
    const Vector square = hn::Mul(x, x), cubic = hn::MulAdd(square, of(0.044715F), of(1));
    const Vector slope = hn::MulAdd(square, of(3 * 0.044715F), of(1)), factor = of(1.59576912F);
    return gated_by_sigmoid(x, hn::Mul(hn::Mul(cubic, x), factor), hn::Mul(slope, factor));
  }
  if constexpr (kind == Nonlinearity::kQuickGelu) return gated_by_sigmoid(x, hn::Mul(x, of(1.702F)), of(1.702F));
  if constexpr (kind == Nonlinearity::kSilu) return gated_by_sigmoid(x, x, of(1));
  const Vector value = activated<kind>(x);
  if constexpr (kind == Nonlinearity::kRelu) return {value, hn::IfThenElseZero(hn::Gt(x, hn::Zero(Floats())), of(1))};
  if constexpr (kind == Nonlinearity::kTanh) return {value, hn::NegMulAdd(value, value, of(1))};
  if constexpr (kind == Nonlinearity::kSigmoid) return {value, hn::NegMulAdd(value, value, value)};
  return {value, of(1)};
}

template <Nonlinearity kind, class T>
HWY_NOINLINE void activate_as(const cpu::Activation& activation, T* out) {
  const auto *from = static_cast<const T*>(activation.x), *gate = static_cast<const T*>(activation.gate);
  by_vectors(activation.count, [&](const auto& read, const auto& write) HWY_ATTR {
    const Vector y = activated<kind>(read(from));
    write(gate ? hn::Mul(y, read(gate)) : y, out);
  });
}

template <Nonlinearity kind, class T>
HWY_NOINLINE void back_as(const cpu::Activation& activation, const T* gradient, T* to_x, T* to_gate) {
  const auto *from = static_cast<const T*>(activation.x), *gate = static_cast<const T*>(activation.gate);
  by_vectors(activation.count, [&](const auto& read, const auto& write) HWY_ATTR {
    const Vector gain = read(gradient);
    const Sloped y = sloped<kind>(read(from));
    if (!gate) return write(hn::Mul(gain, y.slope), to_x);
    const Vector factor = read(gate);
    write(hn::Mul(hn::Mul(gain, factor), y.slope), to_x);
    write(hn::Mul(gain, y.value), to_gate);
  });
}

void activate_numbers(const cpu::Activation& activation, void* out) {
  with_constant(activation.kind, [&]<Nonlinearity kind>() HWY_ATTR {
    activation.narrow ? activate_as<kind>(activation, static_cast<hwy::bfloat16_t*>(out))
                      : activate_as<kind>(activation, static_cast<float*>(out));
  });
}

template <Nonlinearity kind, class T>
HWY_INLINE void back_from(const cpu::Activation& activation, const void* gradient, void* to_x, void* to_gate) {
  back_as<kind>(activation, static_cast<const T*>(gradient), static_cast<T*>(to_x), static_cast<T*>(to_gate));
}

void back_of_numbers(const cpu::Activation& activation, const void* gradient, void* to_x, void* to_gate) {
  with_constant(activation.kind, [&]<Nonlinearity kind>() HWY_ATTR {
    activation.narrow ? back_from<kind, hwy::bfloat16_t>(activation, gradient, to_x, to_gate)
                      : back_from<kind, float>(activation, gradient, to_x, to_gate);
  });
}

}  // namespace tessera::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tessera {
HWY_EXPORT(activate_numbers);
HWY_EXPORT(back_of_numbers);
namespace cpu {
void activate(const Activation& activation, void* out) { HWY_DYNAMIC_DISPATCH(activate_numbers)(activation, out); }
void activate_back(const Activation& activation, const void* gradient, void* to_x, void* to_gate) {
  HWY_DYNAMIC_DISPATCH(back_of_numbers)(activation, gradient, to_x, to_gate);
}
}  // namespace cpu
}  // namespace tessera
#endif
