#include "layers/recompute.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>

#include <optional>
#include <set>

#include "core/compat.h"
#include "layers/attention.h"
#include "layers/block.h"
#include "layers/feed_forward.h"
#include "layers/promises.h"

namespace tessera {
namespace {

std::vector<std::shared_ptr<Block>> blocks(double dropout) {
  std::vector<std::shared_ptr<Block>> all;
  for (int i = 0; i < 3; ++i) {
    all.push_back(
        std::make_shared<Block>(BlockOptions{.dim = 16, .dropout = dropout},
                                std::make_shared<Attention>(AttentionOptions{.dim = 16, .heads = 2, .causal = true}),
                                std::make_shared<Mlp>(16, 32, "gelu")));
    testing::randomise(*all.back());
    all.back()->train();
  }
  return all;
}

Tensor drawn(at::IntArrayRef shape) {
  at::manual_seed(4);
  return torch::randn(shape);
}

/// The gradients of the parameters of all blocks and of their input, after one backward pass.
std::vector<Tensor> gradients(const std::vector<std::shared_ptr<Block>>& all, bool recompute, bool of_input,
                              torch::ScalarType precision = torch::kFloat32) {
  const Tensor x = drawn({2, 5, 16}).requires_grad_(of_input);
  at::manual_seed(9);
  Tensor loss;
  {
    const Autocast autocast(precision);
    std::optional<Recomputation> scope;
    if (recompute) scope.emplace();
    Tokens tokens{.x = x};
    for (const auto& block : all) {
      block->zero_grad();
      tokens = block->forward(tokens);
    }
    loss = (tokens.x * drawn(tokens.x.sizes())).sum();
  }
  at::manual_seed(10);  // what is drawn by then is not what the forward pass drew
  torch::autograd::backward({loss}, {});
  std::vector<Tensor> found = {loss.detach()};
  if (of_input) found.push_back(x.grad());
  for (const auto& block : all)
    for (const Tensor& parameter : block->parameters())
      if (parameter.requires_grad()) found.push_back(parameter.grad().clone());
  return found;
}

void expect_equal(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i)
    EXPECT_LT(testing::distance(a[i], b[i]), 1e-4 * (1 + a[i].abs().max().item<double>())) << i;
}

TEST(Recompute, GradientsAreThoseOfWhatWasKept) {
  const auto all = blocks(0);
  expect_equal(gradients(all, false, true), gradients(all, true, true));
}

TEST(Recompute, DropoutDrawsTheSameAgain) {
  const auto all = blocks(0.4);
  expect_equal(gradients(all, false, true), gradients(all, true, true));
}

TEST(Recompute, PrecisionIsTheSameAgain) {
  const auto all = blocks(0);
  const auto kept = gradients(all, false, true, torch::kBFloat16), again = gradients(all, true, true, torch::kBFloat16);
  for (size_t i = 0; i < kept.size(); ++i)
    EXPECT_LT(testing::distance(kept[i], again[i]), 0.02 * (1 + kept[i].abs().max().item<double>())) << i;
}

/// The input of a frozen model needs no gradient, and what was added to its first block does.
TEST(Recompute, ParametersLearnBehindAnInputThatDoesNot) {
  const auto all = blocks(0);
  for (const auto& block : all)
    for (const auto& item : block->named_parameters()) item.value().requires_grad_(item.key() == "norm2.weight");
  const auto found = gradients(all, true, false);
  EXPECT_EQ(found.size(), 4U);
  expect_equal(gradients(all, false, false), found);
}

/// An operation keeps tensors in its node of the graph.
TEST(Recompute, TheGraphHoldsOneNodeForABlock) {
  const auto all = blocks(0);
  const auto nodes = [&](bool recompute) {
    std::optional<Recomputation> scope;
    if (recompute) scope.emplace();
    Tokens tokens{.x = drawn({2, 5, 16}).requires_grad_()};
    for (const auto& block : all) tokens = block->forward(tokens);
    std::set<torch::autograd::Node*> seen;
    std::vector<torch::autograd::Node*> open = {tokens.x.grad_fn().get()};
    while (!open.empty()) {
      auto* node = open.back();
      open.pop_back();
      if (!node || !seen.insert(node).second) continue;
      for (const auto& edge : node->next_edges()) open.push_back(edge.function.get());
    }
    return seen.size();
  };
  EXPECT_LT(nodes(true), 12U);
  EXPECT_GT(nodes(false), 60U);
}

TEST(Recompute, WithoutAGradientNothingIsWrapped) {
  const auto all = blocks(0);
  const torch::NoGradGuard no_gradient;
  const Recomputation scope;
  EXPECT_FALSE(all[0]->forward({.x = drawn({2, 5, 16})}).x.requires_grad());
}

}  // namespace
}  // namespace tessera
