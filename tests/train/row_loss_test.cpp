#include "train/row_loss.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

namespace tessera {
namespace {

TEST(BackwardByRows, IsTheLossOfAllRowsAtOnce) {
  torch::manual_seed(2);
  const auto leaf = [](at::IntArrayRef shape) { return torch::randn(shape).requires_grad_(); };
  const Tensor x = leaf({600, 8}), body = leaf({8, 8}), head = leaf({30, 8});  // more rows than go at once
  const Tensor labels = torch::randint(30, {600}, torch::kInt64);
  const auto hidden = [&] { return torch::tanh(x.matmul(body)); };
  const auto logits = [&](const Tensor& rows) { return torch::linear(rows, head); };
  const Tensor loss = torch::cross_entropy_loss(logits(hidden()), labels);
  const auto wanted = torch::autograd::grad({loss}, {x, body, head});
  EXPECT_NEAR(backward_by_rows(hidden(), labels, logits, 1.0 / 600), loss.item<double>(), 1e-5);
  EXPECT_TRUE(x.grad().allclose(wanted[0], 1e-4, 1e-7));
  EXPECT_TRUE(body.grad().allclose(wanted[1], 1e-4, 1e-6));
  EXPECT_TRUE(head.grad().allclose(wanted[2], 1e-4, 1e-6));
}

TEST(BackwardByRows, AFrozenBodyIsLeftAlone) {
  const Tensor hidden = torch::randn({5, 4}), head = torch::randn({7, 4}).requires_grad_();
  backward_by_rows(
      hidden, torch::randint(7, {5}, torch::kInt64), [&](const Tensor& rows) { return torch::linear(rows, head); }, 1);
  EXPECT_TRUE(head.grad().defined());
  EXPECT_FALSE(hidden.grad().defined());
}

}  // namespace
}  // namespace tessera
