#include "train/optimizer.h"

#include <gtest/gtest.h>
#include <torch/optim/adamw.h>

#include <cmath>

#include "core/error.h"
#include "train/ema.h"
#include "train/schedule.h"

namespace tessera {
namespace {

Tensor parameter(at::IntArrayRef shape) { return torch::randn(shape).requires_grad_(); }

TEST(AdamW, EqualsLibTorchForTwentySteps) {
  torch::manual_seed(3);
  Tensor weight = parameter({4, 5}), bias = parameter({5});
  Tensor weight2 = weight.detach().clone().requires_grad_(), bias2 = bias.detach().clone().requires_grad_();
  using Group = torch::optim::OptimizerParamGroup;
  auto options = [](double decay) {
    return std::make_unique<torch::optim::AdamWOptions>(
        torch::optim::AdamWOptions(2e-3).betas({0.9, 0.99}).eps(1e-8).weight_decay(decay));
  };
  torch::optim::AdamW theirs({Group({weight2}, options(0.1)), Group({bias2}, options(0))});
  AdamW ours({{"linear.weight", weight}, {"linear.bias", bias}}, {.learning_rate = 2e-3, .weight_decay = 0.1});
  for (int i = 0; i < 20; ++i) {
    weight.mutable_grad() = torch::randn({4, 5});
    bias.mutable_grad() = torch::randn({5});
    weight2.mutable_grad() = weight.grad().clone();
    bias2.mutable_grad() = bias.grad().clone();
    ours.step(1);
    theirs.step();
  }
  EXPECT_LT((weight - weight2).abs().max().item<double>(), 1e-6);
  EXPECT_LT((bias - bias2).abs().max().item<double>(), 1e-6);
}

TEST(AdamW, DecaysMatricesAloneAndTakesRatesByName) {
  Tensor weight = torch::ones({2, 2}).requires_grad_(), positions = weight.detach().clone().requires_grad_();
  Tensor slow = weight.detach().clone().requires_grad_(), bias = torch::ones({2}).requires_grad_();
  AdamW optimizer({{"w", weight}, {"image.positions", positions}, {"text.w", slow}, {"b", bias}},
                  {.learning_rate = 0.1, .weight_decay = 0.5, .rates = {{"text.", 0.1}}});
  for (Tensor* tensor : {&weight, &positions, &slow, &bias}) tensor->mutable_grad() = torch::zeros_like(*tensor);
  optimizer.step(1);
  EXPECT_NEAR(weight[0][0].item<double>(), 1 - 0.1 * 0.5, 1e-6);
  EXPECT_NEAR(slow[0][0].item<double>(), 1 - 0.01 * 0.5, 1e-6);
  EXPECT_EQ(positions[0][0].item<double>(), 1);
  EXPECT_EQ(bias[0].item<double>(), 1);
}

TEST(ClipGradients, ScalesAllTogetherAndReturnsTheNormBefore) {
  Tensor a = parameter({2}), b = parameter({1});
  a.mutable_grad() = torch::tensor({3.0F, 0.0F});
  b.mutable_grad() = torch::tensor({4.0F});
  const NamedTensors both = {{"a", a}, {"b", b}};
  EXPECT_NEAR(clip_gradients(both, 10), 5, 1e-6);
  EXPECT_NEAR(a.grad()[0].item<double>(), 3, 1e-6);
  EXPECT_NEAR(clip_gradients(both, 1), 5, 1e-6);
  EXPECT_NEAR(a.grad()[0].item<double>(), 0.6, 1e-5);
  EXPECT_NEAR(b.grad()[0].item<double>(), 0.8, 1e-5);
}

TEST(ClipGradients, NamesTheTensorThatIsNotFinite) {
  Tensor a = parameter({2});
  a.mutable_grad() = torch::tensor({1.0F, std::nanf("")});
  try {
    clip_gradients({{"image.blocks.3.weight", a}}, 1);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.where(), "image.blocks.3.weight");
  }
}

TEST(Ema, FollowsTheWeightsFasterInTheBeginning) {
  Tensor weight = torch::zeros({1});
  Ema ema({{"w", weight}}, 0.5);
  weight.fill_(1);
  ema.update(0);  // decay 1 / 10
  EXPECT_NEAR(ema.averages()[0].second.item<double>(), 0.9, 1e-6);
  weight.fill_(0);
  ema.update(1000);
  EXPECT_NEAR(ema.averages()[0].second.item<double>(), 0.45, 1e-6);
}

TEST(Schedule, RisesThenFallsAsACosine) {
  const ScheduleOptions options{.warmup = 10, .final = 0.1};
  EXPECT_NEAR(schedule_factor(options, 0, 110), 0.1, 1e-12);
  EXPECT_NEAR(schedule_factor(options, 9, 110), 1, 1e-12);
  EXPECT_NEAR(schedule_factor(options, 10, 110), 1, 1e-12);
  EXPECT_NEAR(schedule_factor(options, 60, 110), 0.55, 1e-12);
  EXPECT_NEAR(schedule_factor(options, 110, 110), 0.1, 1e-12);
  EXPECT_NEAR(schedule_factor({.kind = "linear", .warmup = 0, .final = 0}, 25, 100), 0.75, 1e-12);
  EXPECT_EQ(schedule_factor({.kind = "constant", .warmup = 0}, 99, 100), 1);
}

TEST(Schedule, BeginsAnewAtARestartWithItsOwnPeak) {
  ScheduleOptions options{.warmup = 0, .final = 0};
  options.restarts = {{.step = 100, .peak = 0.5}, {.step = 150, .peak = 0.2}};
  EXPECT_NEAR(schedule_factor(options, 50, 200), 0.5, 1e-12);
  EXPECT_NEAR(schedule_factor(options, 100, 200), 0.5, 1e-12);
  EXPECT_NEAR(schedule_factor(options, 125, 200), 0.25, 1e-12);
  EXPECT_NEAR(schedule_factor(options, 150, 200), 0.2, 1e-12);
  EXPECT_NEAR(schedule_factor(options, 175, 200), 0.1, 1e-12);
  for (int64_t step = 0; step < 100; ++step)  // the first cycle is what the run without restarts was
    EXPECT_EQ(schedule_factor(options, step, 200), schedule_factor({.warmup = 0, .final = 0}, step, 100));
  options.restarts = {{.step = 100}, {.step = 100}};
  EXPECT_THROW(check_schedule(options, "schedule"), Error);
}

}  // namespace
}  // namespace tessera
