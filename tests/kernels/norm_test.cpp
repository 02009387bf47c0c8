#include "kernels/norm.h"

#include <ATen/Functions.h>
#include <gtest/gtest.h>

#include "kernels/instruction_sets.h"

namespace tessera {
namespace {

using torch::Tensor;

TEST(FusedNormTest, IsTheNormOfLibTorch) {
  testing::with_each_instruction_set([] {
    torch::manual_seed(1);
    for (const int64_t dim : {1, 7, 16, 131, 768})
      for (const auto type : {torch::kFloat32, torch::kBFloat16}) {
        const Tensor x = (torch::randn({3, 5, dim}) * 3 + 2).to(type), weight = torch::randn({dim}),
                     bias = torch::randn({dim});
        const Tensor wide = x.to(torch::kFloat32);
        const Tensor layer = torch::layer_norm(wide, {dim}, weight, bias, 1e-5);
        const Tensor rms = wide * torch::rsqrt(wide.pow(2).mean(-1, true) + 1e-5) * weight;
        EXPECT_TRUE(fused_norm(x, weight, bias, 1e-5, torch::kFloat32).allclose(layer, 1e-4, 1e-5)) << dim;
        EXPECT_TRUE(fused_norm(x, weight, {}, 1e-5, torch::kFloat32).allclose(rms, 1e-4, 1e-5)) << dim;
        EXPECT_TRUE(fused_norm(x, weight, {}, 1e-5, torch::kBFloat16)
                        .equal(fused_norm(x, weight, {}, 1e-5, torch::kFloat32).to(torch::kBFloat16)))
            << dim;
      }
  });
}

TEST(FusedNormTest, EmptyBatchesAndLargeNumbers) {
  const Tensor weight = torch::ones({8}), bias = torch::zeros({8});
  EXPECT_EQ(fused_norm(torch::empty({0, 8}), weight, bias, 1e-5, torch::kFloat32).numel(), 0);
  EXPECT_TRUE(fused_norm(torch::full({2, 8}, 1e18), weight, bias, 1e-5, torch::kFloat32).isfinite().all().item<bool>());
}

TEST(RotateInPlaceTest, TurnsPairsByTheirAngles) {
  torch::manual_seed(2);
  for (const int64_t pairs : {1, 5, 16, 32}) {
    const Tensor angle = torch::randn({2, 3, pairs}), x = torch::randn({2, 3, 4, 2 * pairs + 2});
    const Tensor cosine = angle.cos().contiguous(), sine = angle.sin().contiguous();
    const Tensor c = cosine.unsqueeze(2), s = sine.unsqueeze(2), rest = x.narrow(3, 2 * pairs, 2);
    const auto rotated = [&](const Tensor& a, const Tensor& b) { return std::pair(a * c - b * s, b * c + a * s); };
    const auto [first, second] = rotated(x.narrow(3, 0, pairs), x.narrow(3, pairs, pairs));
    Tensor halves = x.clone();
    rotate_in_place(halves, cosine, sine, false);
    EXPECT_TRUE(halves.allclose(torch::cat({first, second, rest}, 3), 1e-5, 1e-6));
    const Tensor turning = x.narrow(3, 0, 2 * pairs).view({2, 3, 4, pairs, 2});
    const auto [even, odd] = rotated(turning.select(4, 0), turning.select(4, 1));
    Tensor adjacent = x.clone();
    rotate_in_place(adjacent, cosine, sine, true);
    EXPECT_TRUE(adjacent.allclose(torch::cat({torch::stack({even, odd}, 4).flatten(3), rest}, 3), 1e-5, 1e-6));
  }
}

TEST(RotateInPlaceTest, APartOfAWiderRowIsTurnedWhereItLies) {
  Tensor qkv = torch::randn({1, 3, 6, 8});
  const Tensor before = qkv.clone(), angle = torch::randn({1, 3, 4});
  Tensor part = qkv.narrow(2, 0, 4);
  rotate_in_place(part, angle.cos().contiguous(), angle.sin().contiguous(), false);
  EXPECT_TRUE(qkv.narrow(2, 4, 2).equal(before.narrow(2, 4, 2)));
  EXPECT_FALSE(qkv.narrow(2, 0, 4).allclose(before.narrow(2, 0, 4)));
  EXPECT_TRUE(part.norm(2, -1).allclose(before.narrow(2, 0, 4).norm(2, -1), 1e-4, 1e-5));
}

}  // namespace
}  // namespace tessera
