#include <algorithm>
#include <chrono>

#include "bench.h"
#include "core/process_memory.h"

namespace tessera::bench {

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

double milliseconds(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
}

namespace {

double megabytes(int64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

}  // namespace

double resident_megabytes() { return megabytes(resident_bytes()); }

double highest_megabytes() { return megabytes(peak_resident_bytes()); }

void forget_highest_megabytes() { forget_peak(); }

double peak_megabytes(const std::function<void()>& work) {
  give_back_freed_memory();
  forget_peak();
  const double before = resident_megabytes();
  work();
  return std::max(0.1, highest_megabytes() - before);
}

Pair interleave(int runs, const std::function<void()>& ours, const std::function<void()>& peer) {
  ours(), peer();
  std::vector<double> our_times, peer_times, ratios;
  for (int i = 0; i < runs; ++i) {
    // Who comes first changes, so that neither always finds the other's data in the cache.
    double mine = 0, theirs = 0;
    if (i % 2 == 0) {
      mine = milliseconds(ours), theirs = milliseconds(peer);
    } else {
      theirs = milliseconds(peer), mine = milliseconds(ours);
    }
    our_times.push_back(mine), peer_times.push_back(theirs), ratios.push_back(theirs / mine);
  }
  return {median(our_times), median(peer_times), median(ratios)};
}

}  // namespace tessera::bench
