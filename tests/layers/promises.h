#pragma once
#include <gtest/gtest.h>

#include "layers/module.h"

namespace tessera::testing {

/// The largest difference between two tensors of one shape; infinity where the shapes differ.
inline double distance(const Tensor& a, const Tensor& b) {
  if (a.sizes() != b.sizes()) return std::numeric_limits<double>::infinity();
  return a.numel() == 0 ? 0 : (a - b).abs().max().item<double>();
}

/// Draws every parameter anew, so that none is at a first value that hides something (zero, one).
inline void randomise(torch::nn::Module& module, double deviation = 0.3) {
  const torch::NoGradGuard no_grad;
  at::manual_seed(1);
  for (Tensor& parameter : module.parameters()) parameter.normal_(0, deviation);
}

/// After a backward pass from a random functional of `output`, every parameter has a finite gradient that is not zero.
inline void expect_gradients(torch::nn::Module& module, const Tensor& output) {
  module.zero_grad();
  at::manual_seed(2);
  (output * torch::randn(output.sizes())).sum().backward();
  for (const auto& item : module.named_parameters()) {
    if (!item.value().requires_grad()) continue;
    const Tensor& gradient = item.value().grad();
    ASSERT_TRUE(gradient.defined()) << item.key() << " has no gradient";
    EXPECT_TRUE(torch::isfinite(gradient).all().item<bool>()) << item.key();
    EXPECT_GT(gradient.abs().max().item<double>(), 0) << item.key() << " has a gradient of zeros";
  }
}

}  // namespace tessera::testing
