#include "layers/way_back.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "core/compat.h"
#include "core/error.h"
#include "kernels/matrix_product.h"
#include "layers/activation_gradient.h"
#include "layers/attention.h"
#include "layers/block.h"
#include "layers/elementwise.h"
#include "layers/feed_forward.h"
#include "layers/linear_gradient.h"
#include "layers/norm_gradient.h"
#include "layers/promises.h"

namespace tessera {
namespace {

/// The largest error as a part of the largest number: bfloat16 keeps 8 bits.
double error(const Tensor& found, const Tensor& wanted) {
  return ((found.detach().to(torch::kFloat64) - wanted.detach()).abs().max() / wanted.detach().abs().max())
      .item<double>();
}

Tensor weighed_sum(const Tensor& result) {
  return (result.to(torch::kFloat32) * torch::linspace(-1, 1, result.numel()).view(result.sizes())).sum();
}

class LinearGradient : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!has_matrix_product()) GTEST_SKIP() << "no products of bfloat16 here";
    torch::manual_seed(6);
  }
  Tensor x = torch::randn({3, 40, 30}).requires_grad_(), weight = torch::randn({72, 30}).requires_grad_(),
         bias = torch::randn({72}).requires_grad_(), residual = torch::randn({3, 40, 72}).requires_grad_();
};

TEST_F(LinearGradient, IsThatOfTheExactProductUpToBfloat16) {
  const std::vector<Tensor> by = {x, weight, bias, residual};
  const Tensor wanted = residual + torch::linear(x, weight, bias);
  const Tensor found = linear_with_gradient(x, weight, bias, residual);
  EXPECT_EQ(found.scalar_type(), torch::kFloat32);
  EXPECT_LT(error(found, wanted), 8e-3);
  const auto expected = torch::autograd::grad({weighed_sum(wanted)}, by);
  const auto made = torch::autograd::grad({weighed_sum(found)}, by);
  for (size_t i = 0; i < by.size(); ++i) {
    EXPECT_EQ(made[i].scalar_type(), torch::kFloat32) << i;
    EXPECT_LT(error(made[i], expected[i]), 8e-3) << i;
  }
  EXPECT_TRUE(made[3].equal(expected[3]));
  EXPECT_EQ(linear_with_gradient(x, weight, bias).scalar_type(), torch::kBFloat16);
}

TEST_F(LinearGradient, WhatWantsNoneHasNone) {
  const Tensor y = linear_with_gradient(x.detach(), weight, {});
  torch::autograd::backward({weighed_sum(y)}, {});
  EXPECT_TRUE(weight.grad().defined());
  EXPECT_FALSE(x.grad().defined());
}

TEST_F(LinearGradient, IsForAutocastAlone) {
  EXPECT_FALSE(can_multiply_with_gradient(x, weight, bias));
  const Autocast autocast(torch::kBFloat16);
  EXPECT_TRUE(can_multiply_with_gradient(x, weight, bias));
  EXPECT_FALSE(can_multiply_with_gradient(x.detach(), weight.detach(), {}));
  EXPECT_FALSE(can_multiply_with_gradient(x.to(torch::kFloat64), weight, bias));
  EXPECT_FALSE(can_multiply_with_gradient(x, weight.to(torch::kBFloat16), bias));
  const torch::NoGradGuard no_gradient;
  EXPECT_FALSE(can_multiply_with_gradient(x, weight, bias));
}

TEST_F(LinearGradient, TheTypeOfTheInputIsThatOfItsGradient) {
  const Tensor narrow = x.detach().to(torch::kBFloat16).requires_grad_();
  const auto made = torch::autograd::grad({weighed_sum(linear_with_gradient(narrow, weight, bias))}, {narrow});
  EXPECT_EQ(made[0].scalar_type(), torch::kBFloat16);
}

TEST(NormStep, HasTheGradientOfThePlainForm) {
  for (const std::string kind : {"layer", "rms", "zero-centred-rms", "zero-centred-layer", "zero-centred-scale"}) {
    Norm norm(24, 1e-5, kind);
    testing::randomise(norm);
    Norm exact(24, 1e-5, kind);
    exact.to(torch::kFloat64);
    for (const auto& item : norm.named_parameters()) {
      const torch::NoGradGuard no_gradient;
      exact.named_parameters()[item.key()].copy_(item.value());
    }
    const Tensor x = torch::randn({4, 5, 24}), gradient = torch::randn({4, 5, 24});
    const auto gradients = [&](Norm& of, torch::ScalarType type) {
      const Tensor leaf = x.to(type).requires_grad_();
      std::vector<Tensor> by = of.parameters();
      by.push_back(leaf);
      const Tensor y = of.forward(leaf);
      return torch::autograd::grad({y}, by, {gradient.to(y.scalar_type())});
    };
    const auto found = gradients(norm, torch::kFloat32), wanted = gradients(exact, torch::kFloat64);
    // The root mean square is taken in float32 whatever x is.
    for (size_t i = 0; i < wanted.size(); ++i) EXPECT_LT(error(found[i], wanted[i]), 1e-5) << kind << i;
  }
}

/// What autograd reaches of a tensor's numbers, going back from `result`.
TEST(KeptInput, IsMadeAgainByTheStepThatMadeIt) {
  torch::manual_seed(2);
  const Tensor x = torch::randn({6, 16}).requires_grad_(), weight = torch::randn({16}).requires_grad_();
  for (const auto type : {torch::kFloat32, torch::kBFloat16}) {
    const Tensor y = norm_with_gradient(x, weight, weight, 1e-5, type);
    const KeptInput kept(y);
    EXPECT_FALSE(kept.get().is_alias_of(y));
    EXPECT_LT(error(kept.get(), y), type == torch::kFloat32 ? 1e-6 : 1e-2);
    const Tensor z = activation_with_gradient(y, Nonlinearity::kSilu);
    EXPECT_FALSE(KeptInput(z).get().is_alias_of(z));
    EXPECT_TRUE(KeptInput(z).get().equal(z));
  }
  EXPECT_TRUE(KeptInput(x).get().is_alias_of(x));
}

TEST(KeptInput, AChangedResultIsKeptAsItIs) {
  const Tensor x = torch::randn({3, 4}).requires_grad_();
  Tensor y = activation_with_gradient(x, Nonlinearity::kSilu);
  y.mul_(2);
  EXPECT_TRUE(KeptInput(y).get().equal(2 * activation_with_gradient(x, Nonlinearity::kSilu)));
}

TEST(WayBack, ASecondGradientIsRefusedAndNotWrong) {
  const Tensor x = torch::randn({3, 4}).requires_grad_();
  const Tensor y = elementwise::silu(x).sum();
  EXPECT_THROW(torch::autograd::grad({y}, {x}, {}, /*retain_graph=*/true, /*create_graph=*/true), Error);
}

TEST(WayBack, IsGoneAfterAPassAndStaysWhereAsked) {
  const Tensor x = torch::randn({3, 4}).requires_grad_(), weight = torch::ones({4}).requires_grad_();
  const Tensor y = norm_with_gradient(x, weight, weight, 1e-5, torch::kFloat32);
  const auto gradient = [&](bool keep) { return torch::autograd::grad({y}, {x}, {torch::ones_like(y)}, keep)[0]; };
  EXPECT_TRUE(gradient(true).equal(gradient(false)));
  EXPECT_THROW(gradient(false), std::exception);
}

/// A block in training, under autocast: its loss, the gradient of its input and those of its parameters.
std::vector<Tensor> gradients(Block& block, torch::ScalarType precision) {
  torch::manual_seed(5);
  const Tensor x = torch::randn({2, 9, 32}).requires_grad_();
  block.zero_grad();
  Tensor loss;
  {
    const Autocast autocast(precision);
    loss = weighed_sum(block.forward({.x = x}).x);
  }
  torch::autograd::backward({loss}, {});
  std::vector<Tensor> all = {loss.detach(), x.grad()};
  for (const Tensor& parameter : block.parameters()) all.push_back(parameter.grad().clone());
  return all;
}

TEST(WayBack, OfABlockUnderAutocastIsNearThatInFloat32) {
  for (const bool gated : {false, true})
    for (const std::string norm : {"layer", "rms"}) {
      std::shared_ptr<FeedForward> ffn;
      if (gated)
        ffn = std::make_shared<GatedMlp>(32, 48, "silu", true);
      else
        ffn = std::make_shared<Mlp>(32, 64, "gelu");
      Block block({.dim = 32, .norm = norm},
                  std::make_shared<Attention>(AttentionOptions{.dim = 32, .heads = 4, .causal = true, .kv_heads = 2}),
                  ffn);
      testing::randomise(block);
      block.train();
      const auto wide = gradients(block, torch::kFloat32), narrow = gradients(block, torch::kBFloat16);
      for (size_t i = 0; i < wide.size(); ++i) {
        const double of = ((wide[i] - narrow[i]).norm() / (1e-6 + wide[i].norm())).item<double>();
        EXPECT_LT(of, 0.03) << i << " " << gated << norm;
      }
    }
}

}  // namespace
}  // namespace tessera
