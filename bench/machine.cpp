#include "machine.h"

#include <torch/torch.h>

#include <thread>

namespace tessera::bench {
namespace {

constexpr int64_t kSize = 2048;
constexpr size_t kBytes = size_t{1} << 30;

}  // namespace

ProductRate::ProductRate(Precision precision)
    : x_(torch::randn({kSize, kSize})), layer_(torch::randn({kSize, kSize}), {}, precision) {
  if (precision != Precision::kFloat32) x_ = x_.to(torch::kBFloat16);
  finish_.type = x_.scalar_type();
}

void ProductRate::run() const { layer_.forward(x_, finish_); }

double ProductRate::of(double ms) { return 2e-6 * static_cast<double>(kSize * kSize * kSize) / ms; }

ReadRate::ReadRate() : numbers_(kBytes / sizeof(uint64_t), 1) {}

void ReadRate::run() {
  std::vector<std::thread> threads;
  const size_t parts = static_cast<size_t>(torch::get_num_threads()), each = numbers_.size() / parts;
  for (size_t part = 0; part < parts; ++part)
    threads.emplace_back([this, part, each] {
      uint64_t sums[8] = {};
      for (size_t i = part * each; i + 8 <= (part + 1) * each; i += 8)
        for (size_t lane = 0; lane < 8; ++lane) sums[lane] ^= numbers_[i + lane];
      for (const uint64_t sum : sums) found_ = found_ ^ sum;
    });
  for (auto& thread : threads) thread.join();
}

double ReadRate::of(double ms) { return 1e-6 * static_cast<double>(kBytes) / ms; }

}  // namespace tessera::bench
