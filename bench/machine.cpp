#include "machine.h"

#include <sys/mman.h>
#include <torch/torch.h>

#include <cstring>
#include <new>

#include "core/parallel.h"
#include "read.h"

namespace tessera::bench {
namespace {

constexpr int64_t kSize = 2048;
constexpr size_t kBytes = size_t{1} << 30, kPiece = size_t{16} << 20, kLargePage = size_t{2} << 20;

}  // namespace

ProductRate::ProductRate(Precision precision)
    : x_(torch::randn({kSize, kSize})), layer_(torch::randn({kSize, kSize}), {}, precision) {
  if (precision != Precision::kFloat32) x_ = x_.to(torch::kBFloat16);
  finish_.type = x_.scalar_type();
}

void ProductRate::run() const { layer_.forward(x_, finish_); }

double ProductRate::of(double ms) { return 2e-6 * static_cast<double>(kSize * kSize * kSize) / ms; }

ReadRate::ReadRate() : memory_(static_cast<std::byte*>(std::aligned_alloc(kLargePage, kBytes)), &std::free) {
  if (!memory_) throw std::bad_alloc();
  ::madvise(memory_.get(), kBytes, MADV_HUGEPAGE);  // a wish: where it is not granted, small pages do
  std::memset(memory_.get(), 1, kBytes);
}

void ReadRate::run() {
  in_parallel(static_cast<int64_t>(kBytes / kPiece),
              [&](int64_t piece) { read_all(memory_.get() + static_cast<size_t>(piece) * kPiece, kPiece); });
}

double ReadRate::of(double ms) { return 1e-6 * static_cast<double>(kBytes) / ms; }

}  // namespace tessera::bench
