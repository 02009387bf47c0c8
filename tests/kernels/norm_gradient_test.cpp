#include "kernels/norm_gradient.h"

#include <ATen/Functions.h>
#include <torch/csrc/autograd/autograd.h>

#include "kernels/instruction_sets.h"
#include "kernels/norm.h"

namespace tessera {
namespace {

using torch::Tensor;

/// By LibTorch's own parts. @param bias  undefined: by the root mean square
Tensor plain(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  if (bias.defined()) return torch::layer_norm(x, weight.sizes(), weight, bias, 1e-5);
  return x * torch::rsqrt(x.pow(2).mean(-1, true) + 1e-5) * weight;
}

void expect_plain(int64_t rows, int64_t dim, bool centred) {
  const auto leaf = [](const Tensor& x) { return x.requires_grad_(); };
  const Tensor x = leaf(torch::randn({2, rows, dim}) * 3 + 1), weight = leaf(torch::randn({dim}));
  const Tensor bias = centred ? leaf(torch::randn({dim})) : Tensor(), wanted = plain(x, weight, bias);
  const Tensor gradient = torch::randn(wanted.sizes());
  std::vector<Tensor> by = {x, weight};
  if (centred) by.push_back(bias);
  const auto expected = torch::autograd::grad({wanted}, by, {gradient});
  const auto made = norm_with_trace(x, weight, bias, 1e-5, torch::kFloat32);
  const auto to = norm_gradients(gradient, made.normalised, made.factor, weight, centred, torch::kFloat32);
  const auto near = [](const Tensor& a, const Tensor& b) {
    return a.allclose(b, 1e-4, 1e-4 * (1 + b.abs().max().item<double>()));
  };
  EXPECT_TRUE(made.result.equal(fused_norm(x, weight, bias, 1e-5, torch::kFloat32))) << dim;
  EXPECT_TRUE(scale_and_shift(made.normalised, weight, bias).allclose(made.result)) << dim;
  EXPECT_TRUE(near(to.x, expected[0])) << dim;
  EXPECT_TRUE(near(to.weight, expected[1])) << dim;
  if (centred) {
    EXPECT_TRUE(near(to.bias, expected[2])) << dim;
  }
  EXPECT_EQ(to.bias.defined(), centred);
}

TEST(NormGradient, IsThatOfLibTorch) {
  testing::with_each_instruction_set([] {
    torch::manual_seed(5);
    for (const bool centred : {false, true})
      for (const int64_t dim : {1, 7, 16, 131, 384}) expect_plain(3, dim, centred);
    expect_plain(700, 24, true);  // several parts
  });
}

TEST(NormGradient, OfNarrowNumbersIsNearThatOfWideOnes) {
  torch::manual_seed(6);
  const Tensor x = torch::randn({40, 96}), weight = torch::randn({96}), bias = torch::randn({96});
  const Tensor gradient = torch::randn({40, 96});
  const auto gradients = [&](torch::ScalarType type) {
    const auto made = norm_with_trace(x, weight, bias, 1e-5, type);
    EXPECT_EQ(made.result.scalar_type(), type);
    return norm_gradients(gradient.to(type), made.normalised, made.factor, weight, true, torch::kFloat32);
  };
  const auto wide = gradients(torch::kFloat32), narrow = gradients(torch::kBFloat16);
  const auto error = [](const Tensor& a, const Tensor& b) { return ((a - b).norm() / b.norm()).item<double>(); };
  EXPECT_LT(error(narrow.x, wide.x), 0.005);
  EXPECT_LT(error(narrow.weight, wide.weight), 0.005);
  EXPECT_LT(error(narrow.bias, wide.bias), 0.005);
}

TEST(NormGradient, OfNoRowsIsZero) {
  const Tensor weight = torch::ones({8});
  const auto made = norm_with_trace(torch::empty({0, 8}), weight, weight, 1e-5, torch::kFloat32);
  const auto to = norm_gradients(made.result, made.normalised, made.factor, weight, true, torch::kFloat32);
  EXPECT_EQ(to.x.numel(), 0);
  EXPECT_TRUE(to.weight.equal(torch::zeros({8})));
}

}  // namespace
}  // namespace tessera
