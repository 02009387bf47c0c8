#include "kernels/cpu/convolve.h"

#include <algorithm>
#include <vector>

#include "kernels/cpu/scratch.h"

// Sums are in registers where the loops over them are written out.
#undef TESSERA_UNROLL
#define TESSERA_UNROLL _Pragma("GCC unroll 16")

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/convolve.cpp"
#include <hwy/foreach_target.h>
// After the above.
#include "kernels/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tessera::HWY_NAMESPACE {

constexpr int64_t kTogether = 8;  // neighbouring results, whose sums are in registers

/// All of a vector, or its first `count` numbers.
template <bool whole>
HWY_INLINE Vector read(const float* from, size_t count) {
  return whole ? load(from) : load_some(from, count);
}
template <bool whole>
HWY_INLINE void write(Vector x, float* to, size_t count) {
  whole ? store(x, to) : store_some(x, to, count);
}

/// kTogether results for the channels from `at` on, of which `outputs` are wanted.
/// @param width   of the window, where it is known and the stride is one: a column is read once for all windows; or 0
/// @param places  of every row under the window, the columns under the windows
template <int width, bool whole>
HWY_INLINE void windows(const cpu::WindowRow& row, const float* const* places, size_t at, size_t count, int64_t outputs,
                        float* out) {
  const int64_t span = (kTogether - 1) * row.stride + row.width;
  const float* weight = row.weight + at;
  Vector sums[kTogether];
  TESSERA_UNROLL
  for (auto& sum : sums) sum = read<whole>(row.bias + at, count);
  for (int64_t y = 0; y < row.height; ++y, places += span) {
    if constexpr (width > 0) {
      Vector weights[width];
      TESSERA_UNROLL
      for (int x = 0; x < width; ++x, weight += row.channels) weights[x] = read<whole>(weight, count);
      TESSERA_UNROLL
      for (int column = 0; column < kTogether + width - 1; ++column) {
        const Vector numbers = read<whole>(places[column] + at, count);
        TESSERA_UNROLL
        for (int x = 0; x < width; ++x)
          if (column - x >= 0 && column - x < kTogether)
            sums[column - x] = hn::MulAdd(numbers, weights[x], sums[column - x]);
      }
    } else {
      for (int64_t x = 0; x < row.width; ++x, weight += row.channels) {
        const Vector factor = read<whole>(weight, count);
        TESSERA_UNROLL
        for (int64_t i = 0; i < kTogether; ++i)
          sums[i] = hn::MulAdd(factor, read<whole>(places[i * row.stride + x] + at, count), sums[i]);
      }
    }
  }
  TESSERA_UNROLL
  for (int64_t i = 0; i < kTogether; ++i)
    if (i < outputs) write<whole>(sums[i], out + i * row.channels + at, count);
}

template <int width>
void row_of_windows(const cpu::WindowRow& row, const float* const* rows, float* out) {
  const int64_t span = (kTogether - 1) * row.stride + row.width;
  const auto channels = static_cast<size_t>(row.channels);
  std::vector<const float*> places(static_cast<size_t>(span * row.height));
  for (int64_t first = 0; first < row.outputs; first += kTogether, out += kTogether * row.channels) {
    const int64_t begin = first * row.stride - row.left, outputs = std::min(kTogether, row.outputs - first);
    for (int64_t y = 0; y < row.height; ++y)
      for (int64_t x = 0; x < span; ++x) {
        const bool inside = rows[y] && begin + x >= 0 && begin + x < row.columns;
        places[static_cast<size_t>(y * span + x)] = inside ? rows[y] + (begin + x) * row.channels : row.outside;
      }
    size_t at = 0;
    for (; at + lanes() <= channels; at += lanes()) windows<width, true>(row, places.data(), at, lanes(), outputs, out);
    if (at < channels) windows<width, false>(row, places.data(), at, channels - at, outputs, out);
  }
}

void window_row(const cpu::WindowRow& row, const float* const* rows, float* out) {
  if (row.stride == 1 && row.width == 3) return row_of_windows<3>(row, rows, out);
  if (row.stride == 1 && row.width == 4) return row_of_windows<4>(row, rows, out);
  if (row.stride == 1 && row.width == 5) return row_of_windows<5>(row, rows, out);
  if (row.stride == 1 && row.width == 7) return row_of_windows<7>(row, rows, out);
  row_of_windows<0>(row, rows, out);
}

/// The numbers of one vector's channels, token after token, where a tile of them stays in the first cache.
HWY_INLINE void gather(const float* from, int64_t tokens, int64_t step, size_t count, float* to) {
  for (int64_t t = 0; t < tokens; ++t, from += step, to += lanes())
    store(count == lanes() ? load(from) : load_some(from, count), to);
}

void sequence(const cpu::SequenceConvolution& call, float* out) {
  thread_local cpu::Scratch memory;
  const auto width = static_cast<int64_t>(lanes());
  // Before the first token and behind the last there are zeros, so that no sum asks where it is.
  float* taps = memory.of<float>(static_cast<size_t>((call.length + 2 * kTogether + call.count) * width));
  float* x = taps + (call.count + kTogether) * width;
  std::fill(x - kTogether * width, x, 0.0F);
  std::fill(x + call.length * width, x + (call.length + kTogether) * width, 0.0F);
  for (int64_t at = 0; at < call.channels; at += width) {
    const auto count = static_cast<size_t>(std::min(width, call.channels - at));
    gather(call.x + at, call.length, call.step, count, x);
    gather(call.taps + at, call.count, call.step, count, taps);
    for (int64_t first = 0; first < call.length; first += kTogether) {
      Vector sums[kTogether];
      TESSERA_UNROLL
      for (auto& sum : sums) sum = hn::Zero(Floats());
      const int64_t end = std::min(call.count, first + kTogether);
      for (int64_t s = 0; s < end; ++s) {
        const Vector tap = load(taps + s * width);
        const float* inputs = x + (first - s) * width;
        TESSERA_UNROLL
        for (int64_t i = 0; i < kTogether; ++i) sums[i] = hn::MulAdd(tap, load(inputs + i * width), sums[i]);
      }
      TESSERA_UNROLL
      for (int64_t i = 0; i < kTogether; ++i)
        if (first + i < call.length) store_some(sums[i], out + (first + i) * call.step + at, count);
    }
  }
}

}  // namespace tessera::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tessera {
HWY_EXPORT(window_row);
HWY_EXPORT(sequence);
namespace cpu {
void convolve_row(const WindowRow& row, const float* const* rows, float* out) {
  HWY_DYNAMIC_DISPATCH(window_row)(row, rows, out);
}
void convolve_sequence(const SequenceConvolution& call, float* out) { HWY_DYNAMIC_DISPATCH(sequence)(call, out); }
}  // namespace cpu
}  // namespace tessera
#endif
