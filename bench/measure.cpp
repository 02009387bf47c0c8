#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <fstream>

#include "bench.h"

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

/// A line of what the kernel says of this process, in MB.
double status_megabytes(const std::string& name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(name)) return std::stod(line.substr(name.size())) / 1024;
  return 0;
}

}  // namespace

double resident_megabytes() { return status_megabytes("VmRSS:"); }

double highest_megabytes() { return status_megabytes("VmHWM:"); }

void forget_highest_megabytes() { std::ofstream("/proc/self/clear_refs") << "5"; }

double peak_megabytes(const std::function<void()>& work) {
  ::malloc_trim(0);
  forget_highest_megabytes();
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
