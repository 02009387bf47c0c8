#include "kernels/polynomial.h"

#include <ATen/Functions.h>

#include "kernels/instruction_sets.h"

namespace tessera {
namespace {

using testing::with_each_instruction_set;
using torch::Tensor;

TEST(FusedPolynomial, IsTheSumOfThePowersNormalisedOrRectified) {
  with_each_instruction_set([] {
    torch::manual_seed(1);
    for (const int64_t dim : {1, 15, 16, 77, 768}) {
      const Tensor x = 2 * torch::randn({3, 5, dim}), weight = torch::randn({3}), bias = torch::randn({1});
      const auto sum = [&](const Tensor& base, const auto& f) {
        return weight[0] * f(base.pow(3)) + weight[1] * f(base.pow(2)) + weight[2] * f(base) + bias;
      };
      const auto unit = [](const Tensor& y) { return y * torch::rsqrt(y.pow(2).mean(-1, true) + 1e-6); };
      const Tensor normalised = sum(x, unit), rectified = sum(torch::relu(x), [](const Tensor&y) { return y; });
      EXPECT_TRUE(fused_polynomial(x, weight, bias, true, 1e-6).allclose(normalised, 1e-4, 1e-5)) << dim;
      EXPECT_TRUE(fused_polynomial(x, weight, bias, false, 1e-6).allclose(rectified, 1e-4, 1e-4)) << dim;
    }
  });
}

TEST(FusedPolynomial, EmptyBatchesAndLargeNumbers) {
  const Tensor weight = torch::ones({3}), bias = torch::zeros({1});
  EXPECT_EQ(fused_polynomial(torch::empty({0, 8}), weight, bias, true, 1e-6).numel(), 0);
  EXPECT_TRUE(fused_polynomial(torch::full({2, 8}, 1e8), weight, bias, true, 1e-6).isfinite().all().item<bool>());
}

}  // namespace
}  // namespace tessera
