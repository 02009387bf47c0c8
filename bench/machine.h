#pragma once
#include <cstdint>
#include <vector>

#include "kernels/packed_linear.h"

namespace tessera::bench {

/// Floating-point operations a second of a large product, in thousands of millions: what the machine can do.
class ProductRate {
 public:
  /// @throws Error where the processor cannot compute in this precision
  explicit ProductRate(Precision precision);
  void run() const;
  /// @param ms  what run() took
  static double of(double ms);

 private:
  torch::Tensor x_;
  PackedLinear layer_;
  LinearFinish finish_;
};

/// A memory of 1 GiB that is read from end to end by all threads.
class ReadRate {
 public:
  ReadRate();
  void run();
  /// GB a second. @param ms  what run() took
  static double of(double ms);

 private:
  std::vector<uint64_t> numbers_;
  volatile uint64_t found_ = 0;
};

}  // namespace tessera::bench
