#include "kernels/cpu/unpack.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/unpack.cpp"
#include <hwy/foreach_target.h>
// After the above.
#include "kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tessera::HWY_NAMESPACE {

using cpu::ProductKind;

constexpr size_t kOutputs = 64;
using Lanes = hn::Vec<Bits>;  // the numbers of one output are one lane of 32 bits

/// The upper halves of two float32 numbers as one lane: two bfloat16 numbers, the first one lower.
HWY_INLINE Lanes pair_of(Vector first, Vector second) {
  const Bits bits;
  const auto rounded = [&](Vector x) HWY_ATTR {
    const Lanes whole = hn::BitCast(bits, x);
    const Lanes odd = hn::And(hn::ShiftRight<16>(whole), hn::Set(bits, 1U));
    return hn::Add(whole, hn::Add(odd, hn::Set(bits, 0x7FFFU)));
  };
  return hn::Or(hn::ShiftRight<16>(rounded(first)), hn::And(rounded(second), hn::Set(bits, 0xFFFF0000U)));
}

void panel_of_int8(const int8_t* panel, int64_t inputs, void* out) {
  auto* pairs = static_cast<uint32_t*>(out);
  const Bits bits;
  const auto byte = [](Lanes four, auto left) HWY_ATTR {  // moved to the top and back, with its sign
    return hn::ConvertTo(Floats(), hn::ShiftRight<24>(hn::BitCast(Integers(), hn::ShiftLeft<left.value>(four))));
  };
  using Left0 = std::integral_constant<int, 24>;
  using Left1 = std::integral_constant<int, 16>;
  using Left2 = std::integral_constant<int, 8>;
  using Left3 = std::integral_constant<int, 0>;
  const auto* fours = reinterpret_cast<const uint32_t*>(panel);
  for (int64_t at = 0; at < inputs / 4; ++at, fours += kOutputs, pairs += 2 * kOutputs)
    for (size_t output = 0; output < kOutputs; output += lanes()) {
      const Lanes four = hn::LoadU(bits, fours + output);
      hn::StoreU(pair_of(byte(four, Left0()), byte(four, Left1())), bits, pairs + output);
      hn::StoreU(pair_of(byte(four, Left2()), byte(four, Left3())), bits, pairs + kOutputs + output);
    }
}

void panel_of_int4(const uint8_t* panel, const uint16_t* scales, int64_t inputs, int64_t group, void* out) {
  auto* pairs = static_cast<uint32_t*>(out);
  const Bits bits;
  const hn::Rebind<hwy::float16_t, Floats> halves;
  const auto* eights = reinterpret_cast<const uint32_t*>(panel);
  for (int64_t at = 0; at < inputs / 8; ++at, eights += kOutputs, pairs += 4 * kOutputs) {
    const auto* of_group = reinterpret_cast<const hwy::float16_t*>(scales) + at * 8 / group * kOutputs;
    for (size_t output = 0; output < kOutputs; output += lanes()) {
      const Lanes eight = hn::LoadU(bits, eights + output);
      const Vector scale = hn::PromoteTo(Floats(), hn::LoadU(halves, of_group + output));
      const auto weight = [&](Lanes shifted) HWY_ATTR {
        const auto number = hn::BitCast(Integers(), hn::And(shifted, hn::Set(bits, 15U)));
        return hn::Mul(hn::ConvertTo(Floats(), hn::Sub(number, hn::Set(Integers(), 8))), scale);
      };
      const auto put = [&](size_t pair, Lanes first, Lanes second) HWY_ATTR {
        hn::StoreU(pair_of(weight(first), weight(second)), bits, pairs + pair * kOutputs + output);
      };
      put(0, eight, hn::ShiftRight<8>(eight));
      put(1, hn::ShiftRight<16>(eight), hn::ShiftRight<24>(eight));
      put(2, hn::ShiftRight<4>(eight), hn::ShiftRight<12>(eight));
      put(3, hn::ShiftRight<20>(eight), hn::ShiftRight<28>(eight));
    }
  }
}

/// Two weights of four inputs, and where they stand: bits 0 and 1, 2 and 3 of `place`, of which others are ignored.
struct TwoOfFour {
  Lanes weights, place;

  template <int number>
  HWY_INLINE auto stands_at(uint32_t input) const {
    const Bits bits;
    const Lanes at = hn::And(number == 0 ? place : hn::ShiftRight<2>(place), hn::Set(bits, 3U));
    return hn::Eq(at, hn::Set(bits, input));
  }
};

/// The four inputs of bfloat16 as two words. The first of the two is never the last input, nor the second the first.
HWY_INLINE void put_pairs(const TwoOfFour& two, uint32_t* out) {
  const Bits bits;
  const Lanes first = hn::And(two.weights, hn::Set(bits, 0xFFFFU)), high = hn::ShiftLeft<16>(two.weights);
  const Lanes second = hn::And(two.weights, hn::Set(bits, 0xFFFF0000U)), low = hn::ShiftRight<16>(two.weights);
  const auto word = [](Lanes a, Lanes b, Lanes c) HWY_ATTR { return hn::Or(a, hn::Or(b, c)); };
  hn::StoreU(word(hn::IfThenElseZero(two.stands_at<0>(0), first), hn::IfThenElseZero(two.stands_at<0>(1), high),
                  hn::IfThenElseZero(two.stands_at<1>(1), second)),
             bits, out);
  hn::StoreU(word(hn::IfThenElseZero(two.stands_at<0>(2), first), hn::IfThenElseZero(two.stands_at<1>(2), low),
                  hn::IfThenElseZero(two.stands_at<1>(3), second)),
             bits, out + kOutputs);
}

/// The four inputs of int8 as a word, of weights in the lower half.
HWY_INLINE void put_fours(const TwoOfFour& two, uint32_t* out) {
  const Bits bits;
  const Lanes first = hn::And(two.weights, hn::Set(bits, 0xFFU));
  const Lanes second = hn::And(hn::ShiftRight<8>(two.weights), hn::Set(bits, 0xFFU));
  const Lanes left = hn::ShiftLeft<3>(hn::And(two.place, hn::Set(bits, 3U)));
  const Lanes more = hn::ShiftLeft<1>(hn::And(two.place, hn::Set(bits, 12U)));
  hn::StoreU(hn::Or(hn::Shl(first, left), hn::Shl(second, more)), bits, out);
}

/// The four inputs of float32, of weights in two words.
HWY_INLINE void put_floats(const TwoOfFour& two, Lanes second, uint32_t* out) {
  const Bits bits;
  for (uint32_t input = 0; input < 4; ++input)
    hn::StoreU(
        hn::IfThenElse(two.stands_at<1>(input), second, hn::IfThenElseZero(two.stands_at<0>(input), two.weights)), bits,
        out + input * kOutputs);
}

template <ProductKind kind>
HWY_INLINE void panel_of_two(const uint32_t* kept, const uint32_t* places, int64_t inputs, uint32_t* out) {
  constexpr int64_t step = kind == ProductKind::kInt8 ? 8 : 4;  // inputs
  constexpr size_t read = kind == ProductKind::kFloat32 ? 2 : 1;
  constexpr size_t written = static_cast<size_t>(step / cpu::inputs_together(kind));
  const Bits bits;
  for (int64_t at = 0; at < inputs; at += step, kept += read * kOutputs, out += written * kOutputs)
    for (size_t output = 0; output < kOutputs; output += lanes()) {
      const Lanes words = hn::LoadU(bits, places + at / 32 * static_cast<int64_t>(kOutputs) + output);
      const Lanes place = hn::ShiftRightSame(words, static_cast<int>(at % 32));
      const TwoOfFour two{hn::LoadU(bits, kept + output), place};
      if constexpr (kind == ProductKind::kBfloat16) put_pairs(two, out + output);
      if constexpr (kind == ProductKind::kFloat32)
        put_floats(two, hn::LoadU(bits, kept + kOutputs + output), out + output);
      if constexpr (kind == ProductKind::kInt8) {
        put_fours(two, out + output);
        put_fours({hn::ShiftRight<16>(two.weights), hn::ShiftRight<4>(place)}, out + kOutputs + output);
      }
    }
}

void panel_of_sparse(ProductKind kind, const void* kept, const void* places, int64_t inputs, void* out) {
  const auto run = [&]<ProductKind of>() HWY_ATTR {
    panel_of_two<of>(static_cast<const uint32_t*>(kept), static_cast<const uint32_t*>(places), inputs,
                     static_cast<uint32_t*>(out));
  };
  if (kind == ProductKind::kFloat32) return run.template operator()<ProductKind::kFloat32>();
  if (kind == ProductKind::kBfloat16) return run.template operator()<ProductKind::kBfloat16>();
  run.template operator()<ProductKind::kInt8>();
}

}  // namespace tessera::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tessera {
HWY_EXPORT(panel_of_int8);
HWY_EXPORT(panel_of_int4);
HWY_EXPORT(panel_of_sparse);
namespace cpu {
void unpack_int8(const int8_t* panel, int64_t inputs, void* out) {
  HWY_DYNAMIC_DISPATCH(panel_of_int8)(panel, inputs, out);
}
void unpack_int4(const uint8_t* panel, const uint16_t* scales, int64_t inputs, int64_t group, void* out) {
  HWY_DYNAMIC_DISPATCH(panel_of_int4)(panel, scales, inputs, group, out);
}
void unpack_sparse(ProductKind kind, const void* kept, const void* places, int64_t inputs, void* out) {
  HWY_DYNAMIC_DISPATCH(panel_of_sparse)(kind, kept, places, inputs, out);
}
}  // namespace cpu
}  // namespace tessera
#endif
