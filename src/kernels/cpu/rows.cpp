#include "kernels/cpu/rows.h"

#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/rows.cpp"
#include <hwy/foreach_target.h>
// After the above.
#include "kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tessera::HWY_NAMESPACE {

/// Calls each(vector, index, count) for the row's numbers, a vector of them at a time.
template <class T, class Each>
HWY_INLINE void walk(const T* from, size_t count, const Each& each) {
  size_t at = 0;
  for (; at + lanes() <= count; at += lanes()) each(load(from + at), at, lanes());
  if (at < count) each(load_some(from + at, count - at), at, count - at);
}

template <class Each>
HWY_INLINE void walk(const cpu::Row& row, const Each& each) {
  const auto count = static_cast<size_t>(row.count);
  if (row.narrow) return walk(static_cast<const hwy::bfloat16_t*>(row.numbers), count, each);
  walk(static_cast<const float*>(row.numbers), count, each);
}

template <class Out>
HWY_INLINE void copy_row(const cpu::Row& row, Out* out) {
  walk(row, [&](Vector x, size_t at, size_t count) HWY_ATTR {
    if (count == lanes())
      store(x, out + at);
    else
      store_some(x, out + at, count);
  });
}

void row_to_bfloat16(const cpu::Row& row, void* out) { copy_row(row, static_cast<hwy::bfloat16_t*>(out)); }
void row_to_float32(const cpu::Row& row, float* out) { copy_row(row, out); }

/// The largest magnitude, which is also that of the bits without the sign.
template <class T>
HWY_INLINE T largest_bits(const T* bits, size_t count, T without_sign) {
  const hn::ScalableTag<T> all;
  const size_t width = hn::Lanes(all);
  auto even = hn::Zero(all), odd = hn::Zero(all);
  const auto mask = hn::Set(all, without_sign);
  size_t at = 0;
  for (; at + 2 * width <= count; at += 2 * width) {
    even = hn::Max(even, hn::And(hn::LoadU(all, bits + at), mask));
    odd = hn::Max(odd, hn::And(hn::LoadU(all, bits + at + width), mask));
  }
  T most = hn::GetLane(hn::MaxOfLanes(all, hn::Max(even, odd)));
  for (; at < count; ++at) most = HWY_MAX(most, static_cast<T>(bits[at] & without_sign));
  return most;
}

HWY_INLINE float largest_magnitude(const cpu::Row& row) {
  const auto count = static_cast<size_t>(row.count);
  const uint32_t bits =
      row.narrow ? uint32_t{largest_bits(static_cast<const uint16_t*>(row.numbers), count, uint16_t{0x7FFF})} << 16
                 : largest_bits(static_cast<const uint32_t*>(row.numbers), count, 0x7FFFFFFFU);
  float largest;
  std::memcpy(&largest, &bits, sizeof(largest));
  return largest;
}

float row_to_int8(const cpu::Row& row, int zero, uint8_t* out) {
  const float largest = largest_magnitude(row);
  const float scale = largest / 127, inverse = largest > 0 && std::isfinite(largest) ? 127 / largest : 0;
  const hn::Rebind<uint8_t, Floats> bytes;
  walk(row, [&](Vector x, size_t at, size_t count) HWY_ATTR {
    const auto rounded = hn::Add(hn::NearestInt(hn::Mul(x, of(inverse))), hn::Set(Integers(), zero));
    const auto kept = hn::TruncateTo(bytes, hn::BitCast(Bits(), rounded));
    uint8_t part[hn::MaxLanes(Floats())];
    if (count == lanes()) return hn::StoreU(kept, bytes, out + at);
    hn::StoreU(kept, bytes, part);
    std::memcpy(out + at, part, count);
  });
  return scale;
}

}  // namespace tessera::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tessera {
HWY_EXPORT(row_to_bfloat16);
HWY_EXPORT(row_to_float32);
HWY_EXPORT(row_to_int8);
namespace cpu {
void to_bfloat16(const Row& row, void* out) { HWY_DYNAMIC_DISPATCH(row_to_bfloat16)(row, out); }
void to_float32(const Row& row, float* out) { HWY_DYNAMIC_DISPATCH(row_to_float32)(row, out); }
float to_int8(const Row& row, int zero, uint8_t* out) { return HWY_DYNAMIC_DISPATCH(row_to_int8)(row, zero, out); }
}  // namespace cpu
}  // namespace tessera
#endif
