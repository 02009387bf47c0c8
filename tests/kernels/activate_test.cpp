#include "kernels/activate.h"

#include <ATen/Functions.h>
#include <torch/csrc/autograd/autograd.h>

#include "kernels/instruction_sets.h"

namespace tessera {
namespace {

using testing::with_each_instruction_set;
using torch::Tensor;

TEST(FusedActivation, IsThatOfLibTorchForAnyCount) {
  with_each_instruction_set([] {
    torch::manual_seed(1);
    for (const int64_t count : {0, 1, 63, 64, 200, 20000}) {
      const Tensor x = 4 * torch::randn({count});
      const auto expect = [&](Nonlinearity kind, const Tensor& expected) {
        EXPECT_TRUE(fused_activation(x, kind).allclose(expected, 1e-5, 1e-6)) << count << " " << static_cast<int>(kind);
      };
      expect(Nonlinearity::kGelu, torch::gelu(x));
      expect(Nonlinearity::kGeluTanh, torch::gelu(x, "tanh"));
      expect(Nonlinearity::kQuickGelu, x * torch::sigmoid(1.702 * x));
      expect(Nonlinearity::kSilu, torch::silu(x));
      expect(Nonlinearity::kSigmoid, torch::sigmoid(x));
      expect(Nonlinearity::kTanh, torch::tanh(x));
    }
  });
}

constexpr Nonlinearity kKinds[] = {Nonlinearity::kIdentity,  Nonlinearity::kGelu,   Nonlinearity::kGeluTanh,
                                   Nonlinearity::kQuickGelu, Nonlinearity::kRelu,   Nonlinearity::kSilu,
                                   Nonlinearity::kTanh,      Nonlinearity::kSigmoid};

/// By LibTorch's own parts, which it can differentiate.
Tensor plain(const Tensor& x, Nonlinearity kind) {
  switch (kind) {
    case Nonlinearity::kGelu:
      return torch::gelu(x);
    case Nonlinearity::kGeluTanh:
      return torch::gelu(x, "tanh");
    case Nonlinearity::kQuickGelu:
      return x * torch::sigmoid(1.702 * x);
    case Nonlinearity::kRelu:
      return torch::relu(x);
    case Nonlinearity::kSilu:
      return torch::silu(x);
    case Nonlinearity::kTanh:
      return torch::tanh(x);
    case Nonlinearity::kSigmoid:
      return torch::sigmoid(x);
    case Nonlinearity::kIdentity:
      return x * 1;
  }
  return x;
}

Tensor plain(const Tensor& x, Nonlinearity kind, bool gated) {
  if (!gated) return plain(x, kind);
  const auto halves = x.chunk(2, -1);
  return plain(halves[0], kind) * halves[1];
}

TEST(ActivationGradient, IsThatOfLibTorch) {
  with_each_instruction_set([] {
    torch::manual_seed(3);
    for (const Nonlinearity kind : kKinds)
      for (const bool gated : {false, true})
        for (const int64_t width : {2, 30, 96}) {
          const Tensor x = (3 * torch::randn({5, width})).requires_grad_(), result = plain(x, kind, gated);
          const Tensor gradient = torch::randn(result.sizes());
          const Tensor wanted = torch::autograd::grad({result}, {x}, {gradient})[0];
          EXPECT_TRUE(fused_activation(x, kind, gated).allclose(result, 1e-5, 1e-5)) << static_cast<int>(kind);
          EXPECT_TRUE(activation_gradient(x, gradient, kind, gated).allclose(wanted, 1e-4, 1e-5))
              << static_cast<int>(kind) << gated << width;
        }
  });
}

TEST(ActivationGradient, FarFromZeroIsThatOfTheLimits) {
  const Tensor x = torch::tensor({-200.0F, -30.0F, 30.0F, 200.0F}), one = torch::ones({4});
  for (const Nonlinearity kind :
       {Nonlinearity::kGelu, Nonlinearity::kGeluTanh, Nonlinearity::kQuickGelu, Nonlinearity::kSilu})
    EXPECT_TRUE(activation_gradient(x, one, kind).allclose(torch::tensor({0.0F, 0.0F, 1.0F, 1.0F}), 0, 1e-6))
        << static_cast<int>(kind);
}

TEST(ActivationGradient, OfNarrowNumbersIsRoundedOnce) {
  torch::manual_seed(4);
  const auto narrow = [](const Tensor& x) { return x.to(torch::kBFloat16); };
  const auto wide = [](const Tensor& x) { return x.to(torch::kFloat32); };
  for (const bool gated : {false, true}) {
    const Tensor x = narrow(torch::randn({7, 42})), gradient = narrow(torch::randn({7, gated ? 21 : 42}));
    EXPECT_TRUE(fused_activation(x, Nonlinearity::kGelu, gated)
                    .equal(narrow(fused_activation(wide(x), Nonlinearity::kGelu, gated))));
    EXPECT_TRUE(activation_gradient(x, gradient, Nonlinearity::kGelu, gated)
                    .equal(narrow(activation_gradient(wide(x), wide(gradient), Nonlinearity::kGelu, gated))));
  }
}

TEST(FusedActivation, KeepsTheLayoutOfAMapAndReadsPartsOfARow) {
  const Tensor map = torch::randn({2, 3, 4, 5}).permute({0, 3, 1, 2}), part = torch::randn({3, 4, 10}).narrow(2, 3, 5);
  EXPECT_EQ(fused_activation(map, Nonlinearity::kSilu).strides(), map.strides());
  EXPECT_TRUE(fused_activation(map, Nonlinearity::kSilu).allclose(torch::silu(map), 1e-5, 1e-6));
  EXPECT_TRUE(fused_activation(part, Nonlinearity::kSilu).allclose(torch::silu(part), 1e-5, 1e-6));
  const Tensor same = activation_gradient(map, torch::ones({2, 5, 3, 4}), Nonlinearity::kSilu);
  EXPECT_TRUE(same.allclose(activation_gradient(map.contiguous(), torch::ones({2, 5, 3, 4}), Nonlinearity::kSilu)));
}

}  // namespace
}  // namespace tessera
