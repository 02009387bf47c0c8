#include "read.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "bench/read.cpp"
#include <hwy/foreach_target.h>
// After the above.
#include <hwy/cache_control.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace tessera::bench::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

constexpr size_t kStreams = 4;  // more rows of the memory are open then than one stream opens
constexpr size_t kLines = 128;  // bytes of a step of a stream
constexpr size_t kAhead = 2048;

uint32_t read_streams(const uint8_t* from, size_t bytes) {
  const hn::CappedTag<uint32_t, 16> words;
  using Words = hn::Vec<decltype(words)>;
  const size_t width = hn::Lanes(words) * sizeof(uint32_t), each = bytes / kStreams;
  Words found[kStreams];
  for (Words& word : found) word = hn::Zero(words);
  for (size_t at = 0; at < each; at += kLines) {
#pragma GCC unroll 4
    for (size_t stream = 0; stream < kStreams; ++stream) {
      const uint8_t* line = from + stream * each + at;
      for (size_t ahead = 0; ahead < kLines; ahead += 64) hwy::Prefetch(line + kAhead + ahead);
      for (size_t part = 0; part < kLines; part += width)
        found[stream] = hn::Xor(found[stream], hn::Load(words, reinterpret_cast<const uint32_t*>(line + part)));
    }
  }
  Words all = found[0];
  for (size_t stream = 1; stream < kStreams; ++stream) all = hn::Xor(all, found[stream]);
  HWY_ALIGN uint32_t lanes[16] = {};
  hn::Store(all, words, lanes);
  uint32_t sum = 0;
  for (const uint32_t lane : lanes) sum ^= lane;
  return sum;
}

}  // namespace tessera::bench::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tessera::bench {
HWY_EXPORT(read_streams);
uint32_t read_all(const void* from, size_t bytes) {
  return HWY_DYNAMIC_DISPATCH(read_streams)(static_cast<const uint8_t*>(from), bytes);
}
}  // namespace tessera::bench
#endif
