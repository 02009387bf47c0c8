#include "kernels/cpu/fours.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/fours.cpp"
#include <hwy/foreach_target.h>
// After the above.
#include "kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tessera::HWY_NAMESPACE {

#if HWY_TARGET == HWY_SCALAR
void row_of_fours(const cpu::Fours& fours, const float* x, float* out) {
  for (int64_t at = 0; at < fours.channels; ++at) {
    out[at] = fours.bias[at];
    for (int64_t i = 0; i < 4; ++i) out[at] += x[at / 4 * 4 + i] * fours.columns[i * fours.channels + at];
  }
}
#else
/// A vector holds whole blocks, and Broadcast<i>() gives number i of each block to all four.
void row_of_fours(const cpu::Fours& fours, const float* x, float* out) {
  const auto channels = static_cast<size_t>(fours.channels);
  for (size_t at = 0; at < channels; at += lanes()) {
    const size_t count = HWY_MIN(lanes(), channels - at);
    const auto read = [&](const float* from)
                          HWY_ATTR { return count == lanes() ? load(from + at) : load_some(from + at, count); };
    const Vector numbers = read(x);
    Vector y = hn::MulAdd(hn::Broadcast<0>(numbers), read(fours.columns), read(fours.bias));
    y = hn::MulAdd(hn::Broadcast<1>(numbers), read(fours.columns + channels), y);
    y = hn::MulAdd(hn::Broadcast<2>(numbers), read(fours.columns + 2 * channels), y);
    y = hn::MulAdd(hn::Broadcast<3>(numbers), read(fours.columns + 3 * channels), y);
    count == lanes() ? store(y, out + at) : store_some(y, out + at, count);
  }
}
#endif

}  // namespace tessera::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tessera {
HWY_EXPORT(row_of_fours);
namespace cpu {
void multiply_fours(const Fours& fours, const float* x, float* out) {
  HWY_DYNAMIC_DISPATCH(row_of_fours)(fours, x, out);
}
}  // namespace cpu
}  // namespace tessera
#endif
