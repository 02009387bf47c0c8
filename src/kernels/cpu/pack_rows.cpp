#include "kernels/cpu/pack_rows.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/pack_rows.cpp"
#include <hwy/foreach_target.h>
// After the above.
#include "kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tessera::HWY_NAMESPACE {

constexpr int64_t kPanelWidth = 64;

/// Four words of four rows, turned: word i of all rows goes to out + i * 64.
#if HWY_TARGET == HWY_SCALAR
void turn(const uint32_t* from, int64_t stride, uint32_t* out) {
  for (int64_t row = 0; row < 4; ++row)
    for (int64_t word = 0; word < 4; ++word) out[word * kPanelWidth + row] = from[row * stride + word];
}
#else
using Words = hn::Full128<uint32_t>;
using Pairs = hn::Full128<uint64_t>;

HWY_INLINE void turn(const uint32_t* from, int64_t stride, uint32_t* out) {
  const Words words;
  const Pairs pairs;
  const auto a = hn::LoadU(words, from), b = hn::LoadU(words, from + stride), c = hn::LoadU(words, from + 2 * stride),
             d = hn::LoadU(words, from + 3 * stride);
  const auto put = [&](auto ab, auto cd, uint32_t* to) HWY_ATTR {
    const auto left = hn::BitCast(pairs, ab), right = hn::BitCast(pairs, cd);
    hn::StoreU(hn::BitCast(words, hn::InterleaveLower(pairs, left, right)), words, to);
    hn::StoreU(hn::BitCast(words, hn::InterleaveUpper(pairs, left, right)), words, to + kPanelWidth);
  };
  put(hn::InterleaveLower(words, a, b), hn::InterleaveLower(words, c, d), out);
  put(hn::InterleaveUpper(words, a, b), hn::InterleaveUpper(words, c, d), out + 2 * kPanelWidth);
}
#endif

/// One word for each key and group of features, and zeros for the keys that fill up the last panel.
void turn_rows(const uint32_t* keys, int64_t stride, int64_t count, int64_t words, int64_t filled, uint32_t* panels) {
  for (int64_t first = 0; first < count; first += kPanelWidth, panels += filled * kPanelWidth) {
    const int64_t real = std::min(kPanelWidth, count - first), whole = real / 4 * 4, fours = words / 4 * 4;
    if (real < kPanelWidth) std::fill_n(panels, words * kPanelWidth, 0U);
    std::fill_n(panels + words * kPanelWidth, (filled - words) * kPanelWidth, 0U);
    for (int64_t key = 0; key < real; ++key) {
      const uint32_t* from = keys + (first + key) * stride;
      if (key % 4 == 0 && key < whole)
        for (int64_t word = 0; word < fours; word += 4) turn(from + word, stride, panels + word * kPanelWidth + key);
      for (int64_t word = key < whole ? fours : 0; word < words; ++word) panels[word * kPanelWidth + key] = from[word];
    }
  }
}

/// The numbers of one key; zeros where there is none.
template <class T>
HWY_INLINE void copy_row(const T* row, int64_t real, T* out) {
  std::copy_n(row, real, out);
  std::fill(out + real, out + kPanelWidth, T(0));
}

/// The numbers of two keys in turns.
HWY_INLINE void join_rows(const uint16_t* even, const uint16_t* odd, uint32_t* out) {
  const hn::Rebind<uint16_t, Bits> halves;
  for (int64_t at = 0; at < kPanelWidth; at += static_cast<int64_t>(lanes())) {
    const auto low = hn::PromoteTo(Bits(), hn::LoadU(halves, even + at));
    const auto high = hn::PromoteTo(Bits(), hn::LoadU(halves, odd + at));
    hn::StoreU(hn::Or(low, hn::ShiftLeft<16>(high)), Bits(), out + at);
  }
}

void join_pairs(const cpu::NumberRows& rows, int64_t first, void* panel) {
  const auto* from = static_cast<const uint16_t*>(rows.data) + first;
  const int64_t real = std::min(kPanelWidth, rows.width - first), filled = (rows.count + 31) / 32 * 16;
  uint16_t some[2][kPanelWidth];
  for (int64_t pair = 0; pair < filled; ++pair) {
    const uint16_t* row[2];
    for (int64_t i = 0; i < 2; ++i) {
      const int64_t key = 2 * pair + i;
      row[i] = from + key * rows.stride;
      if (key < rows.count && real == kPanelWidth) continue;
      copy_row(row[i], key < rows.count ? real : 0, some[i]);
      row[i] = some[i];
    }
    join_rows(row[0], row[1], static_cast<uint32_t*>(panel) + pair * kPanelWidth);
  }
}

}  // namespace tessera::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tessera {
HWY_EXPORT(turn_rows);
HWY_EXPORT(join_pairs);

namespace cpu {
namespace {

constexpr int64_t kPanel = 64;

void copy_rows(const NumberRows& rows, int64_t first, float* panel) {
  const auto* from = static_cast<const float*>(rows.data) + first;
  const int64_t filled = (rows.count + 15) / 16 * 16;
  for (int64_t key = 0; key < filled; ++key) {
    const int64_t real = key < rows.count ? std::min(kPanel, rows.width - first) : 0;
    std::copy_n(from + key * rows.stride, real, panel + key * kPanel);
    std::fill(panel + key * kPanel + real, panel + (key + 1) * kPanel, 0.0F);
  }
}

}  // namespace

void pack_keys(const NumberRows& keys, void* panels) {
  const int64_t each = keys.narrow ? 2 : 1;
  HWY_DYNAMIC_DISPATCH(turn_rows)
  (static_cast<const uint32_t*>(keys.data), keys.stride / each, keys.count, keys.width / each,
   (keys.width + 16 * each - 1) / (16 * each) * 16, static_cast<uint32_t*>(panels));
}

void pack_values(const NumberRows& values, void* panels) {
  const int64_t each = values.narrow ? 2 : 1, filled = (values.count + 16 * each - 1) / (16 * each) * 16;
  auto* words = static_cast<uint32_t*>(panels);
  for (int64_t first = 0; first < values.width; first += kPanel, words += filled * kPanel) {
    if (values.narrow)
      HWY_DYNAMIC_DISPATCH(join_pairs)(values, first, words);
    else
      copy_rows(values, first, reinterpret_cast<float*>(words));
  }
}

}  // namespace cpu
}  // namespace tessera
#endif
