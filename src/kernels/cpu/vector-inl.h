// Numbers in vectors, for every instruction set that Highway compiles a kernel for. Included once per set.
#if defined(TESSERA_KERNELS_CPU_VECTOR_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef TESSERA_KERNELS_CPU_VECTOR_INL_H
#undef TESSERA_KERNELS_CPU_VECTOR_INL_H
#else
#define TESSERA_KERNELS_CPU_VECTOR_INL_H
#endif

#include <hwy/highway.h>

#include <cstring>

#include "kernels/nonlinearity.h"

HWY_BEFORE_NAMESPACE();
namespace tessera {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::ScalableTag<float>;
using Vector = hn::Vec<Floats>;
using Bits = hn::RebindToUnsigned<Floats>;
using Integers = hn::RebindToSigned<Floats>;
using Narrow = hn::Rebind<hwy::bfloat16_t, Floats>;

HWY_INLINE size_t lanes() { return hn::Lanes(Floats()); }
HWY_INLINE Vector of(float value) { return hn::Set(Floats(), value); }

HWY_INLINE Vector load(const float* from) { return hn::LoadU(Floats(), from); }
HWY_INLINE Vector load(const hwy::bfloat16_t* from) { return hn::PromoteTo(Floats(), hn::LoadU(Narrow(), from)); }
HWY_INLINE Vector load(const int32_t* from) { return hn::ConvertTo(Floats(), hn::LoadU(Integers(), from)); }

HWY_INLINE void store(Vector x, float* to) { hn::StoreU(x, Floats(), to); }
/// To the nearest, ties to even: Highway cuts off.
HWY_INLINE void store(Vector x, hwy::bfloat16_t* to) {
  const Bits bits;
  const auto whole = hn::BitCast(bits, x);
  const auto odd = hn::And(hn::ShiftRight<16>(whole), hn::Set(bits, 1U));
  const auto rounded = hn::Add(whole, hn::Add(odd, hn::Set(bits, 0x7FFFU)));
  hn::StoreU(hn::DemoteTo(Narrow(), hn::BitCast(Floats(), rounded)), Narrow(), to);
}

/// The first `count` of a vector's numbers; the others are 0.
template <class T>
HWY_INLINE Vector load_some(const T* from, size_t count) {
  T part[hn::MaxLanes(Floats())];
  std::memset(static_cast<void*>(part), 0, sizeof(part));
  std::memcpy(static_cast<void*>(part), from, count * sizeof(T));
  return load(part);
}
template <class T>
HWY_INLINE void store_some(Vector x, T* to, size_t count) {
  T part[hn::MaxLanes(Floats())];
  store(x, part);
  std::memcpy(static_cast<void*>(to), part, count * sizeof(T));
}
#if !HWY_MEM_OPS_MIGHT_FAULT
HWY_INLINE Vector load_some(const float* from, size_t count) {
  return hn::MaskedLoad(hn::FirstN(Floats(), count), Floats(), from);
}
HWY_INLINE void store_some(Vector x, float* to, size_t count) {
  hn::BlendedStore(x, hn::FirstN(Floats(), count), Floats(), to);
}
#endif

/// Goes over `numbers` numbers, a vector at a time: calls each(read, write), where read(from) and write(y, to) move
/// those that it has come to in arrays of float or bfloat16.
template <class Each>
HWY_INLINE void by_vectors(int64_t numbers, const Each& each) {
  const auto whole = static_cast<size_t>(numbers);
  for (size_t at = 0; at < whole; at += lanes()) {
    const size_t count = HWY_MIN(lanes(), whole - at);
    each([&](const auto* from) HWY_ATTR { return count == lanes() ? load(from + at) : load_some(from + at, count); },
         [&](Vector y, auto* to) HWY_ATTR { count == lanes() ? store(y, to + at) : store_some(y, to + at, count); });
  }
}

/// a / b for b between 1 and 2^126, to 2 units in the last place: a step of Newton's in place of a division, which
/// takes as long as all the rest of an activation.
HWY_INLINE Vector quotient(Vector a, Vector b) {
  Vector inverse = hn::ApproximateReciprocal(b);
  for (int step = 0; step < (HWY_ARCH_ARM ? 2 : 1); ++step)
    inverse = hn::Mul(inverse, hn::NegMulAdd(b, inverse, of(2)));
  return hn::Mul(a, inverse);
}

/// e^x for x between -87.3 and 88, to 2 units in the last place.
HWY_INLINE Vector bounded_exponential(Vector x) {
  const Vector whole = hn::Round(hn::Mul(x, of(1.44269504F)));  // x = whole ln 2 + rest
  Vector rest = hn::NegMulAdd(whole, of(0.693359375F), x);
  rest = hn::NegMulAdd(whole, of(-2.12194440e-4F), rest);
  Vector power = of(1.0F / 720);  // the series, to the sixth power: |rest| <= 0.35
  for (const float factor : {1.0F / 120, 1.0F / 24, 1.0F / 6, 0.5F, 1.0F, 1.0F})
    power = hn::MulAdd(power, rest, of(factor));
  const auto exponent = hn::ShiftLeft<23>(hn::ConvertTo(Integers(), whole));
  return hn::BitCast(Floats(), hn::Add(hn::BitCast(Integers(), power), exponent));
}

/// The same to 8e-5, for what is rounded to bfloat16.
HWY_INLINE Vector coarse_exponential(Vector x) {
  const Vector halvings = hn::Mul(x, of(1.44269504F)), whole = hn::Round(halvings), rest = hn::Sub(halvings, whole);
  Vector power = of(0.0551713214F);  // 2^rest on [-1/2, 1/2], the cubic of the smallest relative error
  for (const float factor : {0.242610542F, 0.693260986F, 0.999928109F}) power = hn::MulAdd(power, rest, of(factor));
  const auto exponent = hn::ShiftLeft<23>(hn::ConvertTo(Integers(), whole));
  return hn::BitCast(Floats(), hn::Add(hn::BitCast(Integers(), power), exponent));
}

/// e^x; 0 below -87 and largest at 88.
HWY_INLINE Vector exponential(Vector x) {
  const Vector bounded = hn::Min(x, of(88.0F));
  return hn::IfThenElseZero(hn::Gt(x, of(-87.0F)), bounded_exponential(bounded));
}

HWY_INLINE Vector sigmoid(Vector x) { return quotient(of(1), hn::Add(of(1), exponential(hn::Neg(x)))); }

/// The hyperbolic tangent; near 0 its series, which is as near in proportion (a cap far above all scores changes none).
HWY_INLINE Vector hyperbolic_tangent(Vector x) {
  const Vector square = hn::Mul(x, x);
  Vector series = of(-1382.0F / 155925);
  for (const float factor : {62.0F / 2835, -17.0F / 315, 2.0F / 15, -1.0F / 3, 1.0F})
    series = hn::MulAdd(series, square, of(factor));
  const Vector far = hn::MulSub(of(2), sigmoid(hn::Mul(x, of(2))), of(1));
  return hn::IfThenElse(hn::Lt(hn::Abs(x), of(0.4F)), hn::Mul(x, series), far);
}

/// The error function, to 4e-7: a quotient of polynomials in x^2, fitted by least squares on [0, 3.92].
HWY_INLINE Vector error_function(Vector x) {
  const Vector bounded = hn::Max(hn::Min(x, of(3.92F)), of(-3.92F)), square = hn::Mul(bounded, bounded);
  Vector above = of(2.034759972957545e-06F), below = of(3.807056418736465e-05F);
  for (const float factor :
       {0.00028747314354404807F, 0.00386810558848083F, 0.053059812635183334F, 0.19275905191898346F, 1.128378987312317F})
    above = hn::MulAdd(above, square, of(factor));
  for (const float factor :
       {0.001188058638945222F, 0.015171860344707966F, 0.11508253961801529F, 0.5041599273681641F, 1.0F})
    below = hn::MulAdd(below, square, of(factor));
  return hn::Max(hn::Min(quotient(hn::Mul(bounded, above), below), of(1)), of(-1));
}

template <Nonlinearity kind>
HWY_INLINE Vector activated(Vector x) {
  if constexpr (kind == Nonlinearity::kGelu) {
    const Vector half = hn::Mul(x, of(0.5F));
    return hn::MulAdd(half, error_function(hn::Mul(x, of(0.70710678F))), half);
  }
  if constexpr (kind == Nonlinearity::kGeluTanh) {
    const Vector cubic = hn::MulAdd(hn::Mul(hn::Mul(x, x), x), of(0.044715F), x);
    return hn::Mul(x, sigmoid(hn::Mul(cubic, of(1.59576912F))));
  }
  if constexpr (kind == Nonlinearity::kQuickGelu) return hn::Mul(x, sigmoid(hn::Mul(x, of(1.702F))));
  if constexpr (kind == Nonlinearity::kRelu) return hn::Max(x, hn::Zero(Floats()));
  if constexpr (kind == Nonlinearity::kSilu) return hn::Mul(x, sigmoid(x));
  if constexpr (kind == Nonlinearity::kTanh) return hyperbolic_tangent(x);
  if constexpr (kind == Nonlinearity::kSigmoid) return sigmoid(x);
  return x;
}

/// Calls `what` with the kind as a constant: what.operator()<kind>().
template <class What>
HWY_INLINE void with_constant(Nonlinearity kind, const What& what) {
  switch (kind) {
    case Nonlinearity::kIdentity:
      return what.template operator()<Nonlinearity::kIdentity>();
    case Nonlinearity::kGelu:
      return what.template operator()<Nonlinearity::kGelu>();
    case Nonlinearity::kGeluTanh:
      return what.template operator()<Nonlinearity::kGeluTanh>();
    case Nonlinearity::kQuickGelu:
      return what.template operator()<Nonlinearity::kQuickGelu>();
    case Nonlinearity::kRelu:
      return what.template operator()<Nonlinearity::kRelu>();
    case Nonlinearity::kSilu:
      return what.template operator()<Nonlinearity::kSilu>();
    case Nonlinearity::kTanh:
      return what.template operator()<Nonlinearity::kTanh>();
    case Nonlinearity::kSigmoid:
      return what.template operator()<Nonlinearity::kSigmoid>();
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tessera
HWY_AFTER_NAMESPACE();

#endif
