#include "kernels/narrow_linear.h"

#include <gtest/gtest.h>

namespace tessera {
namespace {

using torch::Tensor;

struct Layer {
  Layer() {
    at::manual_seed(4);
    weight = torch::randn({24, 40}) * 0.2, bias = torch::randn({24});
    x = torch::randn({3, 7, 40});
  }
  Tensor weight, bias, x;
};

/// One minus the cosine of two tensors.
double apart(const Tensor& a, const Tensor& b) {
  const Tensor x = a.to(torch::kFloat64).flatten(), y = b.to(torch::kFloat64).flatten();
  return 1 - (x.dot(y) / (x.norm() * y.norm())).item<double>();
}

/// Debian's LibTorch for Arm has none but the smallest.
bool libtorch_multiplies_bfloat16() {
  try {
    const Tensor square = torch::ones({32, 32}, torch::kBFloat16);
    torch::matmul(square, square);
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

TEST(NarrowLinear, InBfloat16IsTheProductRounded) {
  if (!libtorch_multiplies_bfloat16()) GTEST_SKIP() << "LibTorch has no products of bfloat16 here";
  const Layer layer;
  const Tensor y =
      narrow_linear(layer.x, {layer.weight.to(torch::kBFloat16), {}, layer.bias.to(torch::kBFloat16)}, false);
  EXPECT_EQ(y.scalar_type(), torch::kBFloat16);
  EXPECT_EQ(y.sizes(), (std::vector<int64_t>{3, 7, 24}));
  EXPECT_LT(apart(y, torch::linear(layer.x, layer.weight, layer.bias)), 1e-4);
}

TEST(NarrowLinear, InInt8IsNearTheProduct) {
  if (!libtorch_multiplies_bfloat16()) GTEST_SKIP() << "LibTorch has no products of bfloat16 here";
  const Layer layer;
  NarrowWeights bytes = rounded_to_int8(layer.weight);
  bytes.bias = layer.bias;
  for (const bool eight_bits : {false, true}) {
    const Tensor y = narrow_linear(layer.x, bytes, eight_bits);
    EXPECT_EQ(y.scalar_type(), torch::kBFloat16);
    EXPECT_LT(apart(y, torch::linear(layer.x, layer.weight, layer.bias)), 5e-4);
  }
}

TEST(NarrowLinear, EveryOutputHasItsOwnFactor) {
  const Layer layer;
  const Tensor weight = layer.weight * torch::logspace(-3, 3, 24).unsqueeze(1);
  const NarrowWeights bytes = rounded_to_int8(weight);
  EXPECT_EQ(bytes.weight.scalar_type(), torch::kInt8);
  EXPECT_TRUE(bytes.weight.abs().to(torch::kInt64).amax(1).eq(127).all().item<bool>());
  const Tensor back = bytes.weight.to(torch::kFloat32) * bytes.scale.unsqueeze(1);
  const Tensor error = (back - weight).abs().amax(1) / weight.abs().amax(1);
  EXPECT_LT(error.max().item<double>(), 0.5 / 127 + 1e-6);
}

TEST(NarrowLinear, AnOutputOfZerosStaysZero) {
  const NarrowWeights bytes = rounded_to_int8(torch::zeros({4, 8}));
  EXPECT_EQ(narrow_linear(torch::ones({2, 8}), bytes, true).abs().max().item<double>(), 0);
}

}  // namespace
}  // namespace tessera
