#include "layers/manhattan_attention.h"

#include <gmock/gmock.h>

#include "core/error.h"
#include "layers/convolutional_mlp.h"
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

struct Mixers {
  explicit Mixers(double first = 2)
      : decay(std::make_shared<ManhattanDecay>(3, 4, first, 4)),
        whole(std::make_shared<ManhattanAttention>(12, 3, false, decay)),
        decomposed(std::make_shared<ManhattanAttention>(12, 3, true, decay)) {
    randomise(*whole), randomise(*decomposed);
  }
  std::shared_ptr<ManhattanDecay> decay;
  std::shared_ptr<ManhattanAttention> whole, decomposed;
};

TEST(ManhattanAttention, ScoresFallWithTheDistanceAlongBothAxes) {
  const Mixers mixers;
  const Tensor bias = mixers.decay->bias(Grid{2, 3});  // 1 x heads x 6 x 6
  for (int64_t head = 0; head < 3; ++head) {
    const double decay = std::log(1 - std::pow(2.0, -2 - 4 * static_cast<double>(head) / 3));
    EXPECT_NEAR(bias[0][head][0][5].item<double>(), 3 * decay, 1e-5);
    EXPECT_NEAR(bias[0][head][1][3].item<double>(), 2 * decay, 1e-5);
    EXPECT_EQ(bias[0][head][4][4].item<double>(), 0);
  }
  const Tensor rows = mixers.decay->bias(2), columns = mixers.decay->bias(3);
  const Tensor sum = rows.view({1, 3, 2, 1, 2, 1}) + columns.view({1, 3, 1, 3, 1, 3});
  EXPECT_LT(distance(sum.reshape({1, 3, 6, 6}), bias), 1e-5);
}

TEST(ManhattanAttention, OnASingleRowBothFormsAreOne) {
  const torch::NoGradGuard no_grad;
  const Mixers mixers;
  for (const auto& [height, width] : {std::pair{1, 7}, {6, 1}, {1, 1}})
    EXPECT_LT(
        distance(mixers.whole->forward(picture(height, width)), mixers.decomposed->forward(picture(height, width))),
        1e-5);
}

TEST(ManhattanAttention, DecomposedItReachesThePictureInTwoSteps) {
  const torch::NoGradGuard no_grad;
  const Mixers mixers;
  for (const auto& mixer : {mixers.whole, mixers.decomposed}) {
    const Tokens tokens = picture(9, 8);
    Tensor map = as_map(tokens).clone();
    const Tensor before = mixer->forward(as_tokens(map));
    map.select(2, 0).select(2, 0) += 1;
    EXPECT_GT((mixer->forward(as_tokens(map)) - before).abs().sum(-1).min().item<double>(), 1e-7);
  }
}

TEST(ManhattanAttention, GradientsReachEveryParameter) {
  const Mixers mixers;
  for (const auto& mixer : {mixers.whole, mixers.decomposed})
    testing::expect_gradients(*mixer, mixer->forward(picture(4, 5)));
}

TEST(ManhattanAttention, WhatDoesNotFitIsAnError) {
  EXPECT_THROW(ManhattanDecay(2, 3, 2, 4), Error);
  EXPECT_THROW(Mixers(0), Error);
  const Mixers mixers;
  EXPECT_THROW(ManhattanAttention(10, 3, false, mixers.decay), Error);
  Tokens tokens = picture(2, 3);
  tokens.prefix = 1;
  EXPECT_THROW(mixers.whole->forward(tokens), Error);
}

TEST(ConvolutionalMlp, SeesItsNeighboursAlone) {
  const torch::NoGradGuard no_grad;
  ConvolutionalMlp mlp(12, 20, "gelu");
  randomise(mlp);
  Tensor map = as_map(picture(5, 6)).clone();
  const Tensor before = mlp.forward(as_tokens(map));
  map.select(2, 0).select(2, 0) += 1;
  const Tensor change = (mlp.forward(as_tokens(map)) - before).abs().sum(-1).view({2, 5, 6});
  EXPECT_GT(change.narrow(1, 0, 2).narrow(2, 0, 2).min().item<double>(), 1e-4);
  EXPECT_LT(change.narrow(1, 2, 3).max().item<double>(), 1e-6);
  EXPECT_LT(change.narrow(2, 2, 4).max().item<double>(), 1e-6);
}

}  // namespace
}  // namespace tessera
