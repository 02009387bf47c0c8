#include "layers/gated_convolution.h"

#include <gmock/gmock.h>

#include "core/error.h"
#include "layers/grid.h"
#include "layers/promises.h"
#include "support/scratch.h"

namespace tessera {
namespace {

using testing::distance;
using testing::error_of;
using testing::randomise;

Tokens picture(int64_t height, int64_t width) {
  at::manual_seed(6);
  return as_tokens(torch::randn({2, 16, height, width}));
}

std::shared_ptr<GatedConvolution> drawn(const GatedConvolutionOptions& options) {
  auto mixer = std::make_shared<GatedConvolution>(options);
  randomise(*mixer);
  return mixer;
}

GatedConvolutionOptions of_order(int64_t order, bool filter = false) {
  return {.dim = 16, .order = order, .filter_height = filter ? 6 : 0, .filter_width = filter ? 4 : 0};
}

TEST(GatedConvolution, GradientsReachEveryParameterOfEveryOrder) {
  for (const int64_t order : {1, 2, 4})
    for (const bool filter : {false, true}) {
      const auto mixer = drawn(of_order(order, filter));
      testing::expect_gradients(*mixer, mixer->forward(picture(6, 7)));
      testing::expect_gradients(*mixer, mixer->forward(picture(5, 9)));
    }
}

TEST(GatedConvolution, IsAPolynomialOfTheDegreeOfItsOrder) {
  // Without biases, each order multiplies with what is linear in the input once more.
  const torch::NoGradGuard no_grad;
  for (const int64_t order : {1, 2, 4}) {
    const auto mixer = drawn(of_order(order));
    for (auto& item : mixer->named_parameters())
      if (item.key().ends_with("bias")) item.value().zero_();
    const Tokens tokens = picture(4, 5);
    const double factor = std::pow(2.0, static_cast<double>(order + 1));
    const Tensor once = mixer->forward(tokens), doubled = mixer->forward(tokens.with(2 * tokens.x));
    EXPECT_LT(distance(doubled, factor * once), 1e-4 * doubled.abs().max().item<double>()) << order;
  }
}

TEST(GatedConvolution, AConvolutionSeesItsKernelAndAFilterThePicture) {
  const torch::NoGradGuard no_grad;
  for (const bool filter : {false, true}) {
    const auto mixer = drawn(of_order(2, filter));
    Tensor map = as_map(picture(6, 12)).clone();
    const Tensor before = mixer->forward(as_tokens(map));
    map.select(2, 0).select(2, 0) += 1;
    const Tensor change = (mixer->forward(as_tokens(map)) - before).abs().sum(-1).view({2, 6, 12});
    EXPECT_GT(change.narrow(2, 0, 4).narrow(1, 0, 4).min().item<double>(), 1e-6);
    EXPECT_EQ(change.narrow(2, 4, 8).max().item<double>() > 1e-6, filter);
  }
}

TEST(GlobalLocalFilter, AFilterOfOnesIsTheIdentity) {
  const torch::NoGradGuard no_grad;
  GlobalLocalFilter filter(4, 3, 3);
  auto parameters = filter.named_parameters();
  parameters["weight"].zero_().select(-1, 0).fill_(1);
  parameters["local.weight"].zero_().select(2, 1).select(2, 1).fill_(1);
  at::manual_seed(7);
  for (const auto& [height, width] : {std::pair{3, 4}, {5, 7}, {1, 1}}) {
    Tensor map = torch::randn({2, 4, height, width});
    Norm norm(4, 1e-6);
    map = norm_map(norm, map);  // so that the norms have nothing left to do
    const Tensor turns = torch::stack({map.narrow(1, 0, 2), map.narrow(1, 2, 2)}, 2).flatten(1, 2);
    EXPECT_LT(distance(filter.forward(map), turns), 1e-4) << height << " x " << width;
  }
}

TEST(GatedConvolution, WhatDoesNotFitIsAnError) {
  EXPECT_THAT(error_of([] { GatedConvolution mixer(of_order(6)); }), ::testing::HasSubstr("cannot be halved 5 times"));
  EXPECT_THROW(GatedConvolution mixer(of_order(0)), Error);
  Tokens tokens = picture(2, 3);
  tokens.prefix = 1;
  EXPECT_THROW(drawn(of_order(2))->forward(tokens), Error);
}

TEST(GatedConvolution, GatesOfOddWidthHaveNoHalves) {
  EXPECT_THROW(GatedConvolution mixer({.dim = 16, .order = 5, .filter_height = 2, .filter_width = 2}), Error);
}

}  // namespace
}  // namespace tessera
