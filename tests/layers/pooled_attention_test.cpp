#include "layers/pooled_attention.h"

#include "layers/grid.h"
#include "layers/promises.h"

namespace tessera {
namespace {

using testing::distance;
using testing::randomise;

Tokens picture(int64_t height, int64_t width) {
  at::manual_seed(6);
  return as_tokens(torch::randn({2, 12, height, width}));
}

TEST(PooledAttention, WithARatioOfOneItIsAttention) {
  const torch::NoGradGuard no_grad;
  PooledAttention pooled({.dim = 12, .heads = 3, .ratio = 1});
  Attention plain({.dim = 12, .heads = 3});
  randomise(pooled);
  auto from = pooled.named_parameters(), to = plain.named_parameters();
  for (const std::string kind : {"weight", "bias"}) {
    to["qkv." + kind].copy_(torch::cat({from["q." + kind], from["kv." + kind]}));
    to["proj." + kind].copy_(from["proj." + kind]);
  }
  EXPECT_LT(distance(pooled.forward(picture(3, 5)), plain.forward(picture(3, 5))), 1e-5);
}

TEST(PooledAttention, KeysAreMeansAndThoseAtTheEdgeOfWhatIsLeft) {
  const torch::NoGradGuard no_grad;
  PooledAttention pooled({.dim = 12, .heads = 3, .ratio = 2});
  randomise(pooled);
  Taps taps(pooled, {"weights", "linear"});
  const Tokens tokens = picture(3, 5);
  pooled.forward(tokens);
  EXPECT_EQ(taps.at("weights").sizes(), (std::vector<int64_t>{2, 3, 15, 6}));
  const auto parameters = pooled.named_parameters();
  const Tensor corner = torch::linear(tokens.x.select(1, 14), parameters["linear.weight"], parameters["linear.bias"]);
  EXPECT_LT(distance(taps.at("linear").select(1, 5), corner), 1e-5);
}

TEST(GridBias, IsItsTableAtItsOwnSizeAndFollowsTheGrid) {
  const torch::NoGradGuard no_grad;
  GridBias bias(2, {4, 6}, {2, 3});
  randomise(bias);
  EXPECT_TRUE(torch::equal(bias.forward({4, 6}, {2, 3}), bias.parameters()[0]));
  GridBias single(2, {2, 2}, {1, 1});
  EXPECT_TRUE(torch::equal(single.forward({2, 2}, {1, 1}), single.parameters()[0])) << "one key alone";
  const Tensor other = bias.forward({5, 3}, {3, 2});
  EXPECT_EQ(other.sizes(), (std::vector<int64_t>{1, 2, 15, 6}));
  bias.parameters()[0].fill_(0.7);
  EXPECT_LT(distance(bias.forward({5, 3}, {3, 2}), torch::full({1, 2, 15, 6}, 0.7)), 1e-5);
}

TEST(PooledAttention, GradientsReachEveryParameter) {
  auto bias = std::make_shared<GridBias>(3, Grid{4, 4}, Grid{2, 2});
  PooledAttention pooled({.dim = 12, .heads = 3, .ratio = 2}, bias);
  randomise(pooled), randomise(*bias);
  testing::expect_gradients(pooled, pooled.forward(picture(3, 5)));
  testing::expect_gradients(*bias, pooled.forward(picture(4, 4)));
}

}  // namespace
}  // namespace tessera
