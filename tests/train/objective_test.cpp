#include "train/objective.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "core/error.h"

namespace tessera {
namespace {

Tensor identity_match(int64_t count) { return torch::eye(count).to(torch::kInt8); }

Tensor random_logits(int64_t rows, int64_t columns) {
  torch::manual_seed(7);
  return torch::randn({rows, columns}, torch::kFloat64) * 2;
}

/// The textbook formula, one term at a time.
double plain_info_nce(const Tensor& logits) {
  const int64_t n = logits.size(0);
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    double row = 0, column = 0;
    for (int64_t j = 0; j < n; ++j) {
      row += std::exp(logits[i][j].item<double>());
      column += std::exp(logits[j][i].item<double>());
    }
    sum -= 2 * logits[i][i].item<double>() - std::log(row) - std::log(column);
  }
  return sum / static_cast<double>(2 * n);
}

TEST(InfoNce, IsTheMeanCrossEntropyOfBothDirections) {
  const Tensor logits = random_logits(5, 5);
  EXPECT_NEAR(info_nce(logits, identity_match(5)).item<double>(), plain_info_nce(logits), 1e-12);
}

TEST(InfoNce, HasTheGradientOfFiniteDifferences) {
  Tensor logits = random_logits(4, 6).requires_grad_();
  Tensor match = torch::zeros({4, 6}, torch::kInt8);
  match[0][0] = match[0][1] = match[1][2] = match[2][2] = match[3][5] = 1;
  match[1][4] = -1;
  auto loss_at = [&](const Tensor& x) { return info_nce(x, match, 1, 0.5, 0.1); };
  torch::autograd::backward({loss_at(logits)}, {});
  const torch::NoGradGuard no_gradient;
  for (int64_t i = 0; i < 4; ++i) {
    for (int64_t j = 0; j < 6; ++j) {
      Tensor up = logits.detach().clone(), down = up.clone();
      up[i][j] += 1e-5;
      down[i][j] -= 1e-5;
      const double slope = (loss_at(up) - loss_at(down)).item<double>() / 2e-5;
      EXPECT_NEAR(logits.grad()[i][j].item<double>(), slope, 1e-8);
    }
  }
}

TEST(InfoNce, SpreadsTheTargetOverAllMatches) {
  const Tensor logits = random_logits(1, 3);
  Tensor match = torch::zeros({1, 3}, torch::kInt8);
  match[0][0] = match[0][2] = 1;
  const Tensor expected = -torch::log_softmax(logits, 1);
  EXPECT_NEAR(match_cross_entropy(logits, match).item<double>(), (expected[0][0] + expected[0][2]).item<double>() / 2,
              1e-12);
}

TEST(InfoNce, LeavesOutWhatNobodyCanSayAndRowsWithoutAMatch) {
  const Tensor logits = random_logits(3, 3);
  Tensor match = identity_match(3);
  match[0][1] = -1;
  match[2][2] = -1;
  match[2][0] = match[2][1] = -1;  // nothing is left in this row
  const Tensor first = torch::stack({logits[0][0], logits[0][2]});
  const double expected = (-torch::log_softmax(first, 0)[0] - torch::log_softmax(logits[1], 0)[1]).item<double>() / 2;
  EXPECT_NEAR(match_cross_entropy(logits, match).item<double>(), expected, 1e-12);
  EXPECT_EQ(match_cross_entropy(logits, torch::zeros({3, 3}, torch::kInt8)).item<double>(), 0);
}

TEST(InfoNce, AveragesOverTheLanguages) {
  const Tensor logits = random_logits(3, 6);
  const Tensor match = torch::cat({identity_match(3), identity_match(3)}, 1);
  const double expected = (plain_info_nce(logits.slice(1, 0, 3)) + plain_info_nce(logits.slice(1, 3, 6))) / 2;
  EXPECT_NEAR(contrastive_loss({}, logits, match, {0, 3, 6}).item<double>(), expected, 1e-12);
}

TEST(SigmoidLoss, SumsOverTextsAndAveragesOverPictures) {
  const Tensor logits = random_logits(2, 3);
  Tensor match = torch::zeros({2, 3}, torch::kInt8);
  match[0][0] = match[1][1] = 1;
  match[1][2] = -1;
  double expected = 0;
  for (int64_t i = 0; i < 2; ++i)
    for (int64_t j = 0; j < 3; ++j) {
      const auto which = match[i][j].item<int64_t>();
      if (which >= 0) expected += std::log1p(std::exp(-(which == 1 ? 1 : -1) * logits[i][j].item<double>())) / 2;
    }
  EXPECT_NEAR(sigmoid_loss(logits, match).item<double>(), expected, 1e-12);
}

TEST(ProxyLoss, SkipsRowsWithoutALabel) {
  const Tensor features = random_logits(3, 4), proxies = random_logits(5, 4);
  const Tensor labels = torch::tensor({2, -1, 4}, torch::kInt64);
  const Tensor logits = torch::log_softmax(3 * torch::matmul(features, proxies.t()), 1);
  const double expected = -(logits[0][2] + logits[2][4]).item<double>() / 2;
  const Tensor scale = torch::full({}, 3.0, torch::kFloat64);
  EXPECT_NEAR(proxy_loss(features, proxies, scale, labels, 0).item<double>(), expected, 1e-10);
  EXPECT_EQ(proxy_loss(features, proxies, scale, torch::full({3}, -1, torch::kInt64), 0).item<double>(), 0);
}

TEST(AlignmentLoss, MovesTheFeaturesAlone) {
  const Tensor features = torch::tensor({{1.0, 0.0}, {0.6, 0.8}, {0.0, 1.0}}).requires_grad_();
  const Tensor proxies = torch::tensor({{0.0, 1.0}, {1.0, 0.0}}).requires_grad_();
  const Tensor loss = alignment_loss(features, proxies, torch::tensor({1, 0, -1}, torch::kInt64));
  EXPECT_NEAR(loss.item<double>(), 1 - (1 + 0.8) / 2, 1e-6);
  loss.backward();
  EXPECT_FALSE(proxies.grad().defined());
  EXPECT_TRUE(features.grad().allclose(torch::tensor({{-0.5, 0.0}, {0.0, -0.5}, {0.0, 0.0}})));
}

TEST(Objective, RefusesValuesOutOfRange) {
  EXPECT_THROW(check_objective({.kind = "info-nc"}, "objective"), Error);
  EXPECT_THROW(check_objective({.image_weight = 0, .text_weight = 0}, "objective"), Error);
  EXPECT_THROW(check_objective({.label_smoothing = 1}, "objective"), Error);
  EXPECT_THROW(check_objective({.text_alignment = 1}, "objective"), Error) << "there are no vectors to align with";
}

}  // namespace
}  // namespace tessera
