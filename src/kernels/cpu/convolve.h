#pragma once
#include <cstdint>

namespace tessera::cpu {

/// So many channels are one piece of work where each channel goes its own way.
inline constexpr int64_t kChannels = 16;

/// A window that goes along a row of a map whose channels lie side by side.
struct WindowRow {
  const float* weight = nullptr;   ///< height x width x channels
  const float* bias = nullptr;     ///< channels
  const float* outside = nullptr;  ///< channels: what stands for a place outside of the map, zeros
  int64_t channels = 0;
  int64_t height = 0, width = 0;  ///< of the window
  int64_t stride = 1;
  int64_t left = 0;     ///< columns outside of the map that the first window covers
  int64_t columns = 0;  ///< of the map
  int64_t outputs = 0;  ///< columns of the result
};

/// One row of the result.
/// @param rows  the rows of the map under the window; null: outside of it
/// @param out   outputs x channels
void convolve_row(const WindowRow& row, const float* const* rows, float* out);

/// Up to kChannels channels of a sequence, convolved with what came before.
struct SequenceConvolution {
  const float* x = nullptr;     ///< length x channels, `step` numbers from one token to the next
  const float* taps = nullptr;  ///< count x channels, likewise; the newest input's first
  int64_t length = 0, count = 0, step = 0, channels = 0;
};

/// @param out  length x channels, likewise
void convolve_sequence(const SequenceConvolution& call, float* out);

}  // namespace tessera::cpu
