#pragma once
#include <cstddef>
#include <cstdlib>
#include <memory>

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

/// A memory of 1 GiB that is read from end to end by all threads, with nothing done to it. Its pages are large where
/// the system has such, so that looking them up holds nothing up.
class ReadRate {
 public:
  ReadRate();
  void run();
  /// GB a second. @param ms  what run() took
  static double of(double ms);

 private:
  std::unique_ptr<std::byte, decltype(&std::free)> memory_;
};

}  // namespace tessera::bench
