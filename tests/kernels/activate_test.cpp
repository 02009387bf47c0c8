#include "kernels/activate.h"

#include <ATen/Functions.h>

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

TEST(FusedActivation, KeepsTheLayoutOfAMapAndReadsPartsOfARow) {
  const Tensor map = torch::randn({2, 3, 4, 5}).permute({0, 3, 1, 2}), part = torch::randn({3, 4, 10}).narrow(2, 3, 5);
  EXPECT_EQ(fused_activation(map, Nonlinearity::kSilu).strides(), map.strides());
  EXPECT_TRUE(fused_activation(map, Nonlinearity::kSilu).allclose(torch::silu(map), 1e-5, 1e-6));
  EXPECT_TRUE(fused_activation(part, Nonlinearity::kSilu).allclose(torch::silu(part), 1e-5, 1e-6));
}

}  // namespace
}  // namespace tessera
