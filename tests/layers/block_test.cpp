#include "layers/block.h"

#include <gmock/gmock.h>

#include "layers/attention.h"
#include "layers/batch_norm.h"
#include "layers/feed_forward.h"
#include "layers/promises.h"
#include "support/scratch.h"

namespace tessera {
namespace {

using testing::distance;
using testing::error_of;
using testing::randomise;

std::shared_ptr<Block> block(BlockOptions options) {
  options.dim = 16;
  auto part = std::make_shared<Block>(options, std::make_shared<Attention>(AttentionOptions{.dim = 16, .heads = 2}),
                                      std::make_shared<Mlp>(16, 32, "gelu"));
  randomise(*part);
  return part;
}

Tokens tokens(int64_t batch = 3) {
  at::manual_seed(4);
  Tokens result;
  result.x = torch::randn({batch, 5, 16});
  result.grid = {5};
  return result;
}

TEST(DropPath, IsTheIdentityOutsideTrainingAndWithoutProbability) {
  const Tensor x = torch::randn({4, 3});
  EXPECT_TRUE(torch::equal(drop_path(x, 0.9, false), x));
  EXPECT_TRUE(torch::equal(drop_path(x, 0, true), x));
}

TEST(DropPath, DropsWholeSamplesAndKeepsTheMean) {
  at::manual_seed(3);
  const Tensor y = drop_path(torch::ones({2000, 3, 2}), 0.25, true);
  EXPECT_TRUE(torch::equal(y.amin({1, 2}), y.amax({1, 2}))) << "a sample is dropped as a whole or not at all";
  EXPECT_TRUE((y.eq(0) | (y - 1 / 0.75).abs().lt(1e-5)).all().item<bool>());
  EXPECT_NEAR(y.mean().item<double>(), 1, 0.05);
}

TEST(Block, DropsNothingOutsideTraining) {
  const torch::NoGradGuard no_grad;
  const auto with = block({.drop_path = 0.9, .dropout = 0.9}), without = block({});
  with->eval();
  EXPECT_TRUE(torch::equal(with->forward(tokens()).x, without->forward(tokens()).x));
  with->train();
  EXPECT_GT(distance(with->forward(tokens()).x, without->forward(tokens()).x), 1e-2);
}

TEST(Block, KeepsWhatTravelsWithTheTokens) {
  const torch::NoGradGuard no_grad;
  Tokens in = tokens();
  in.prefix = 1, in.suffix = 2;
  in.mask = torch::ones({3, 5}, torch::kBool);
  const Tokens out = block({})->forward(in);
  EXPECT_EQ(out.grid, in.grid);
  EXPECT_EQ(out.prefix, 1);
  EXPECT_EQ(out.suffix, 2);
  EXPECT_EQ(out.body().size(1), 2);
  EXPECT_TRUE(torch::equal(out.mask, in.mask));
}

TEST(Block, WithATinyLayerScaleIsNearlyTheIdentity) {
  const torch::NoGradGuard no_grad;
  const auto part = block({.layer_scale = 1e-6});
  for (const char* name : {"scale1", "scale2"}) part->named_parameters()[name].fill_(1e-6);
  EXPECT_LT(distance(part->forward(tokens()).x, tokens().x), 1e-4);
}

TEST(Block, PostNormEndsWithTheNorm) {
  const torch::NoGradGuard no_grad;
  const auto part = block({.post_norm = true});
  part->named_parameters()["norm2.weight"].fill_(1);
  part->named_parameters()["norm2.bias"].zero_();
  const Tensor x = part->forward(tokens()).x;
  EXPECT_LT(x.mean(-1).abs().max().item<double>(), 1e-5);
  EXPECT_LT(distance(x.var(-1, false, false), torch::ones({3, 5})), 1e-3);
}

TEST(Block, GradientsReachEveryParameterOfEveryForm) {
  for (const bool post_norm : {false, true})
    for (const char* norm : {"layer", "rms"})
      for (const double layer_scale : {0.0, 0.1}) {
        const auto part = block({.norm = norm, .post_norm = post_norm, .layer_scale = layer_scale});
        testing::expect_gradients(*part, part->forward(tokens()).x);
      }
}

TEST(Norm, LayerNormHasMeanZeroAndVarianceOneAndIgnoresScaleAndShift) {
  const torch::NoGradGuard no_grad;
  Norm norm(16, 1e-12);
  const Tensor x = tokens().x;
  EXPECT_LT(norm.forward(x).mean(-1).abs().max().item<double>(), 1e-5);
  EXPECT_LT(distance(norm.forward(x), norm.forward(x * 5 + 3)), 1e-4);
}

TEST(Norm, RootMeanSquareNormHasMeanSquareOneAndIgnoresScale) {
  const torch::NoGradGuard no_grad;
  Norm norm(16, 1e-12, "rms");
  const Tensor x = tokens().x;
  EXPECT_LT(distance(norm.forward(x).pow(2).mean(-1), torch::ones({3, 5})), 1e-4);
  EXPECT_LT(distance(norm.forward(x), norm.forward(x * 5)), 1e-5);
  EXPECT_THAT(error_of([] { Norm(16, 1e-6, "lyer"); }), ::testing::HasSubstr("did you mean 'layer'?"));
}

TEST(BatchNorm, NormalisesABatchWhileTraining) {
  const torch::NoGradGuard no_grad;
  BatchNorm norm(3);
  norm.train();
  at::manual_seed(6);
  const Tensor y = norm.forward(torch::randn({8, 3, 5, 5}) * 4 + 2);
  EXPECT_LT(y.mean({0, 2, 3}).abs().max().item<double>(), 1e-5);
  EXPECT_LT(distance(y.var({0, 2, 3}, false, false), torch::ones({3})), 1e-3);
}

TEST(BatchNorm, UsesTheRunningStatisticsOutsideTraining) {
  const torch::NoGradGuard no_grad;
  BatchNorm norm(2, 1, 0);
  auto buffers = norm.named_buffers();
  buffers["running_mean"].copy_(torch::tensor({1.F, -2.F}));
  buffers["running_var"].copy_(torch::tensor({4.F, 0.25F}));
  norm.eval();
  at::manual_seed(7);
  const Tensor x = torch::randn({4, 2, 3, 3});
  const Tensor y = norm.forward(x);
  EXPECT_LT(distance(y.select(1, 0), (x.select(1, 0) - 1) / 2), 1e-5);
  EXPECT_LT(distance(y.select(1, 1), (x.select(1, 1) + 2) / 0.5), 1e-5);
  EXPECT_LT(distance(norm.forward(x.narrow(0, 1, 1)), y.narrow(0, 1, 1)), 1e-6)
      << "a sample does not depend on its batch";
  EXPECT_EQ(buffers["running_mean"][0].item<float>(), 1) << "and evaluating changes nothing";
}

TEST(BatchNorm, RunningStatisticsApproachTheData) {
  const torch::NoGradGuard no_grad;
  BatchNorm norm(2);
  norm.train();
  at::manual_seed(8);
  for (int i = 0; i < 100; ++i) norm.forward(torch::randn({16, 2, 4, 4}) * 3 + 5);
  EXPECT_LT(distance(norm.named_buffers()["running_mean"], torch::full({2}, 5)), 0.3);
  EXPECT_LT(distance(norm.named_buffers()["running_var"], torch::full({2}, 9)), 1.5);
}

TEST(Activation, NamesMeanWhatTheyMeanInPublishedConfigs) {
  const Tensor x = torch::linspace(-4, 4, 33);
  EXPECT_LT(distance(activation("gelu")(x), x * 0.5 * (1 + torch::erf(x / std::sqrt(2.0)))), 1e-6);
  EXPECT_LT(distance(activation("quick_gelu")(x), x / (1 + (-1.702 * x).exp())), 1e-6);
  EXPECT_LT(distance(activation("gelu_new")(x), activation("gelu_pytorch_tanh")(x)), 1e-7);
  EXPECT_LT(distance(activation("gelu_new")(x), activation("gelu")(x)), 1e-2);
  EXPECT_GT(distance(activation("gelu_new")(x), activation("gelu")(x)), 1e-5);
  EXPECT_TRUE(torch::equal(activation("silu")(x), activation("swish")(x)));
  EXPECT_THAT(error_of([] { activation("gelo"); }), ::testing::HasSubstr("did you mean 'gelu'?"));
}

}  // namespace
}  // namespace tessera
