#include "layers/recurrence_gradient.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "core/error.h"
#include "kernels/instruction_sets.h"
#include "layers/mixers.h"

namespace tessera {
namespace {

using testing::with_each_instruction_set;

/// The largest difference beside the largest number of what is expected.
double distance(const Tensor& found, const Tensor& expected) {
  const double scale = expected.abs().max().item<double>();
  return (found.to(torch::kFloat64) - expected).abs().max().item<double>() / std::max(scale, 1e-12);
}

std::vector<Tensor> doubled(const std::vector<Tensor>& from) {
  std::vector<Tensor> result;
  for (const Tensor& x : from) result.push_back(x.detach().to(torch::kFloat64).requires_grad_());
  return result;
}

/// The gradients of a loss that weighs all results differently.
std::vector<Tensor> gradients(const std::vector<Tensor>& results, const std::vector<Tensor>& of) {
  Tensor loss = torch::zeros({}, results[0].options());
  for (const Tensor& result : results) {
    const Tensor at = torch::arange(result.numel(), result.options().requires_grad(false));
    loss = loss + (result * torch::cos(at).view(result.sizes())).sum();
  }
  return torch::autograd::grad({loss}, of);
}

SelectiveInputs inputs(const std::vector<Tensor>& x) { return {x[0], x[1], x[2], x[3], x[4]}; }

TEST(SelectiveScanGradient, IsThatOfThePlainFormInDoublePrecision) {
  with_each_instruction_set([] {
    torch::manual_seed(1);
    for (const int64_t channels : {2, 70})
      for (const int64_t groups : {1, 2})
        for (const int64_t length : {1, 16, 37}) {
          const auto leaf = [](const Tensor& x) { return x.detach().requires_grad_(); };
          const std::vector<Tensor> x = {
              leaf(torch::randn({2, length, channels})),  leaf(2 * torch::rand({2, length, channels})),
              leaf(-3 * torch::rand({channels, 5})),      leaf(torch::randn({2, length, groups, 5})),
              leaf(torch::randn({2, length, groups, 5})), leaf(torch::randn({2, channels, 5}))};
          const auto wide = doubled(x);
          const SelectiveResult found = selective_scan_with_gradient(inputs(x), x[5]);
          const SelectiveResult plain = selective_scan(inputs(wide), wide[5]);
          EXPECT_LT(distance(found.y, plain.y), 1e-5);
          const auto made = gradients({found.y, found.state}, x), wanted = gradients({plain.y, plain.state}, wide);
          for (size_t i = 0; i < x.size(); ++i)
            EXPECT_LT(distance(made[i], wanted[i]), 2e-5) << i << ": " << channels << " " << groups << " " << length;
        }
  });
}

TEST(SelectiveScanGradient, NeedsNoGradientOfTheState) {
  const Tensor x = torch::randn({1, 5, 3}).requires_grad_();
  const SelectiveInputs in{x, torch::rand({1, 5, 3}), -torch::rand({3, 2}), torch::randn({1, 5, 1, 2}),
                           torch::randn({1, 5, 1, 2})};
  const SelectiveResult result = selective_scan_with_gradient(in, torch::zeros({1, 3, 2}));
  EXPECT_GT(torch::autograd::grad({result.y.sum()}, {x})[0].abs().sum().item<double>(), 0);
}

TEST(SelectiveScanGradient, RefusesGradientsOfItself) {
  const Tensor x = torch::randn({1, 5, 3}).requires_grad_();
  const SelectiveInputs in{x, torch::rand({1, 5, 3}), -torch::rand({3, 2}), torch::randn({1, 5, 1, 2}),
                           torch::randn({1, 5, 1, 2})};
  const Tensor sum = selective_scan_with_gradient(in, torch::zeros({1, 3, 2})).y.sum();
  EXPECT_THROW(torch::autograd::grad({sum}, {x}, {}, /*retain_graph=*/true, /*create_graph=*/true), Error);
}

/// Weighted means side by side: B x L x C, of L x L weights a channel.
Tensor plain_means(const Tensor& key, const Tensor& value, const Tensor& decay, const Tensor& bonus) {
  const Tensor at = torch::arange(key.size(1), key.options().requires_grad(false));
  const Tensor age = (at.unsqueeze(1) - at.unsqueeze(0) - 1).unsqueeze(-1);
  const Tensor weights = torch::where(age.lt(0), bonus, -decay * age) + key.unsqueeze(1);
  return (weights.masked_fill(age.lt(-1), -INFINITY).softmax(2) * value.unsqueeze(1)).sum(2);
}

TEST(WeightedMeansGradient, IsThatOfTheMeansInDoublePrecision) {
  with_each_instruction_set([] {
    torch::manual_seed(2);
    for (const int64_t channels : {1, 40})
      for (const int64_t length : {1, 16, 45})
        for (const double spread : {1.0, 30.0}) {
          const auto leaf = [](const Tensor& x) { return x.detach().requires_grad_(); };
          const std::vector<Tensor> x = {leaf(spread * torch::randn({2, length, channels})),
                                         leaf(torch::randn({2, length, channels})),
                                         leaf(torch::exp(torch::randn({channels}))), leaf(torch::randn({channels}))};
          const auto wide = doubled(x);
          const Tensor found = weighted_means_with_gradient(x[0], x[1], x[2], x[3]);
          const Tensor plain = plain_means(wide[0], wide[1], wide[2], wide[3]);
          EXPECT_LT(distance(found, plain), 1e-5);
          const auto made = gradients({found}, x), wanted = gradients({plain}, wide);
          for (size_t i = 0; i < x.size(); ++i)
            EXPECT_LT(distance(made[i], wanted[i]), 2e-5) << i << ": " << channels << " " << length << " " << spread;
        }
  });
}

TEST(WeightedMeansGradient, OfNothingIsNothing) {
  const Tensor none = torch::zeros({2, 0, 3}).requires_grad_(), number = torch::ones({3}).requires_grad_();
  const auto made = gradients({weighted_means_with_gradient(none, none, number, number)}, {number});
  EXPECT_EQ(made[0].abs().sum().item<double>(), 0);
}

}  // namespace
}  // namespace tessera
