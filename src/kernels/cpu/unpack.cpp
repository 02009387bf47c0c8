#include "kernels/cpu/unpack.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/unpack.cpp"
#include <hwy/foreach_target.h>
// After the above.
#include "kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tessera::HWY_NAMESPACE {

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

}  // namespace tessera::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tessera {
HWY_EXPORT(panel_of_int8);
HWY_EXPORT(panel_of_int4);
namespace cpu {
void unpack_int8(const int8_t* panel, int64_t inputs, void* out) {
  HWY_DYNAMIC_DISPATCH(panel_of_int8)(panel, inputs, out);
}
void unpack_int4(const uint8_t* panel, const uint16_t* scales, int64_t inputs, int64_t group, void* out) {
  HWY_DYNAMIC_DISPATCH(panel_of_int4)(panel, scales, inputs, group, out);
}
}  // namespace cpu
}  // namespace tessera
#endif
