#include "kernels/cpu/unpack.h"

// Vectors are in registers where the loops over them are written out.
#undef TESSERA_UNROLL
#define TESSERA_UNROLL _Pragma("GCC unroll 8")

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

/// What a panel keeps of an output's inputs (see kernels/sparse.h).
template <ProductKind kind>
struct Kept {
  static constexpr int64_t kTogether = cpu::inputs_together(kind);
  static constexpr int kBits = static_cast<int>(32 / kTogether);  // of a number
  SparsePattern pattern;
  const uint32_t *numbers, *places;

  HWY_INLINE Lanes number(int64_t at, size_t output) const {
    const Lanes word = hn::LoadU(Bits(), numbers + at / kTogether * static_cast<int64_t>(kOutputs) + output);
    const Lanes low = hn::ShiftRightSame(word, static_cast<int>(at % kTogether) * kBits);
    return hn::And(low, hn::Set(Bits(), 0xFFFFFFFFU >> (32 - kBits)));
  }
  /// The input among those of its group.
  HWY_INLINE Lanes place(int64_t at, size_t output) const {
    const int64_t together = pattern.places_of_word(), word = at / together, in_part = at % together / kTogether;
    const int64_t shift = at % kTogether * kBits + in_part * pattern.place_bits();
    const Lanes places_of_word = hn::LoadU(Bits(), places + word * static_cast<int64_t>(kOutputs) + output);
    return hn::And(hn::ShiftRightSame(places_of_word, static_cast<int>(shift)),
                   hn::Set(Bits(), static_cast<uint32_t>(pattern.of - 1)));
  }
};

/// The inputs of one group for as many outputs as there are lanes. @param count  numbers that the group keeps
template <ProductKind kind, int count>
HWY_INLINE void put_group(const Kept<kind>& kept, int64_t group, size_t output, uint32_t* out) {
  constexpr auto together = static_cast<uint32_t>(Kept<kind>::kTogether);
  constexpr int steps = together == 4 ? 2 : together == 2 ? 1 : 0;  // its logarithm
  Lanes words[count], numbers[count];
  TESSERA_UNROLL
  for (int i = 0; i < count; ++i) {
    const Lanes place = kept.place(group * count + i, output);
    const Lanes part = hn::And(place, hn::Set(Bits(), together - 1));
    words[i] = hn::ShiftRight<steps>(place);
    numbers[i] = hn::Shl(kept.number(group * count + i, output), hn::ShiftLeft<5 - steps>(part));
  }
  for (uint32_t word = 0; word < static_cast<uint32_t>(kept.pattern.of) / together; ++word) {
    Lanes all = hn::Zero(Bits());
    TESSERA_UNROLL
    for (int i = 0; i < count; ++i)
      all = hn::Or(all, hn::IfThenElseZero(hn::Eq(words[i], hn::Set(Bits(), word)), numbers[i]));
    hn::StoreU(all, Bits(), out + word * kOutputs + output);
  }
}

template <ProductKind kind>
void panel_of_kept(const Kept<kind>& kept, int64_t inputs, uint32_t* out) {
  const int64_t words = kept.pattern.of / Kept<kind>::kTogether * static_cast<int64_t>(kOutputs);
  const auto run = [&]<int count>() HWY_ATTR {
    for (int64_t group = 0; group < inputs / kept.pattern.of; ++group)
      for (size_t output = 0; output < kOutputs; output += lanes())
        put_group<kind, count>(kept, group, output, out + group * words);
  };
  if (kept.pattern.kept == 1) return run.template operator()<1>();
  if (kept.pattern.kept == 2) return run.template operator()<2>();
  run.template operator()<4>();
}

void panel_of_sparse(ProductKind kind, const SparsePattern& pattern, const void* kept, const void* places,
                     int64_t inputs, void* out) {
  const auto run = [&]<ProductKind of>() HWY_ATTR {
    panel_of_kept<of>({pattern, static_cast<const uint32_t*>(kept), static_cast<const uint32_t*>(places)}, inputs,
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
void unpack_sparse(ProductKind kind, const SparsePattern& pattern, const void* kept, const void* places, int64_t inputs,
                   void* out) {
  HWY_DYNAMIC_DISPATCH(panel_of_sparse)(kind, pattern, kept, places, inputs, out);
}
}  // namespace cpu
}  // namespace tessera
#endif
