#include "kernels/token_matching.h"

#include <ATen/Functions.h>

#include <limits>

#include "core/error.h"
#include "core/process_memory.h"
#include "core/threads.h"
#include "kernels/instruction_sets.h"

namespace tessera {
namespace {

using testing::with_each_instruction_set;
using torch::Tensor;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// Whole numbers, whose products are exact in any order, and often the same.
Tensor whole_numbers(torch::IntArrayRef shape) { return torch::randint(-2, 3, shape).to(torch::kFloat32); }

/// Of every row of products the largest and where it is, the first where there are several.
Matches plain_matches(const Tensor& sources, const Tensor& targets, const Tensor& mask) {
  Tensor products = torch::bmm(sources, targets.transpose(1, 2));
  if (mask.defined()) products = products.masked_fill(mask.logical_not().unsqueeze(1), -kInfinity);
  const auto [scores, order] = torch::sort(products, true, -1, true);
  return {scores.select(-1, 0), order.select(-1, 0)};
}

void expect_matches(const Tensor& sources, const Tensor& targets, const Tensor& mask = {}) {
  const Matches found = best_matches(sources, targets, mask), wanted = plain_matches(sources, targets, mask);
  EXPECT_TRUE(found.scores.equal(wanted.scores)) << sources.sizes() << " " << targets.sizes();
  EXPECT_TRUE(found.indices.equal(wanted.indices)) << sources.sizes() << " " << targets.sizes();
}

/// A result must be the same bits with one thread and with two.
template <class Make>
void expect_same_for_threads(const Make& make) {
  use_threads(1);
  const Tensor alone = make();
  use_threads(2);
  const Tensor together = make();
  use_threads();
  EXPECT_TRUE(alone.equal(together));
}

TEST(BestMatches, AreTheLargestProductsAndTheFirstOfThoseThatAreEqual) {
  with_each_instruction_set([] {
    torch::manual_seed(1);
    for (const int64_t sources : {1, 7, 97, 211})
      for (const int64_t targets : {1, 2, 17, 64, 65, 131})
        for (const int64_t dim : {1, 5, 16, 67})
          expect_matches(whole_numbers({2, sources, dim}), whole_numbers({2, targets, dim}));
  });
}

TEST(BestMatches, OfAnyNumbersAreNearThoseInDoublePrecision) {
  with_each_instruction_set([] {
    torch::manual_seed(2);
    for (const double size : {1e-15, 1.0, 1e15}) {
      const Tensor sources = size * torch::randn({3, 98, 64}), targets = size * torch::randn({3, 99, 64});
      const Tensor products = torch::bmm(sources.to(torch::kFloat64), targets.to(torch::kFloat64).transpose(1, 2));
      const Matches found = best_matches(sources, targets);
      const Tensor best = products.amax(-1);
      EXPECT_TRUE(found.scores.to(torch::kFloat64).allclose(best, 1e-5, 0));
      EXPECT_TRUE(products.gather(-1, found.indices.unsqueeze(-1)).squeeze(-1).allclose(best, 1e-5, 0));
    }
  });
}

TEST(BestMatches, AMaskedTargetIsNeverChosen) {
  with_each_instruction_set([] {
    torch::manual_seed(3);
    for (const int64_t targets : {2, 63, 130}) {
      Tensor mask = torch::rand({3, targets}).lt(0.3);
      mask.select(1, targets / 2).fill_(true);
      expect_matches(whole_numbers({3, 50, 8}), whole_numbers({3, targets, 8}), mask);
      expect_matches(whole_numbers({3, 50, 8}), whole_numbers({3, targets, 8}), mask.t().contiguous().t());
    }
  });
}

TEST(BestMatches, ReadEverySecondTokenAndAnyOtherView) {
  torch::manual_seed(4);
  const Tensor tokens = whole_numbers({2, 135, 24});
  const auto every_second = [&](int64_t first) { return tokens.slice(1, first, tokens.size(1), 2); };
  expect_matches(every_second(0), every_second(1));
  expect_matches(tokens.narrow(1, 1, 60).narrow(2, 3, 9), tokens.narrow(1, 61, 70).narrow(2, 5, 9));
  expect_matches(whole_numbers({2, 24, 40}).transpose(1, 2), tokens);
  expect_matches(whole_numbers({1, 40, 24}).expand({2, 40, 24}), tokens.transpose(0, 1).contiguous().transpose(0, 1));
}

TEST(BestMatches, ASourceWithoutTargetsHasNone) {
  const Tensor sources = torch::randn({2, 5, 4});
  const Matches none = best_matches(sources, torch::empty({2, 0, 4}));
  const Matches masked = best_matches(sources, torch::randn({2, 3, 4}), torch::zeros({2, 3}, torch::kBool));
  for (const Matches& found : {none, masked}) {
    EXPECT_TRUE(found.scores.equal(torch::full({2, 5}, -kInfinity)));
    EXPECT_TRUE(found.indices.equal(torch::full({2, 5}, -1, torch::kInt64)));
  }
}

TEST(BestMatches, OfNothingAreNothing) {
  EXPECT_EQ(best_matches(torch::empty({0, 5, 4}), torch::empty({0, 3, 4})).scores.sizes(), at::IntArrayRef({0, 5}));
  EXPECT_EQ(best_matches(torch::empty({2, 0, 4}), torch::ones({2, 3, 4})).indices.sizes(), at::IntArrayRef({2, 0}));
  const Matches without_numbers = best_matches(torch::empty({1, 2, 0}), torch::empty({1, 70, 0}));
  EXPECT_TRUE(without_numbers.scores.equal(torch::zeros({1, 2})));
  EXPECT_TRUE(without_numbers.indices.equal(torch::zeros({1, 2}, torch::kInt64)));
}

TEST(BestMatches, InfiniteProductsAreCompared) {
  with_each_instruction_set([] {
    const Tensor sources = torch::tensor({{{kInfinity, 1.0F}, {1e30F, 1e30F}, {-1e30F, -1e30F}, {1e-30F, 1e-30F}}});
    const Tensor targets = torch::tensor({{{0.0F, 1.0F}, {1.0F, 1.0F}, {1e30F, 1e30F}, {2e30F, 2e30F}}});
    const Matches found = best_matches(sources, targets);  // the first of these products is no number
    EXPECT_TRUE(found.indices.equal(torch::tensor({{1L, 2L, 0L, 3L}})));
    EXPECT_TRUE(found.scores.allclose(torch::tensor({{kInfinity, kInfinity, -1e30F, 4.0F}}), 1e-5, 0));
  });
}

TEST(BestMatches, WhereNoProductIsAboveMinusInfinityTheFirstThatMayBeIsChosen) {
  const Tensor sources = torch::tensor({{{kInfinity, 0.0F}}});
  const Tensor targets = torch::tensor({{{1.0F, 1.0F}, {0.0F, 1.0F}, {-1.0F, 0.0F}}});
  const Matches found = best_matches(sources, targets, torch::tensor({{false, true, true}}));
  EXPECT_EQ(found.indices.item<int64_t>(), 1);
  EXPECT_EQ(found.scores.item<float>(), -kInfinity);
}

TEST(BestMatches, DoNotDependOnTheThreads) {
  torch::manual_seed(5);
  for (const int64_t batch : {1, 3}) {
    const Tensor sources = torch::randn({batch, 301, 40}), targets = torch::randn({batch, 143, 40});
    expect_same_for_threads([&] { return best_matches(sources, targets).scores; });
    expect_same_for_threads([&] { return best_matches(sources, targets).indices; });
  }
}

TEST(BestMatches, NeedNoMemoryForTheProducts) {
  const int64_t tokens = 6000;
  const Tensor x = torch::randn({1, tokens, 8});
  best_matches(x.narrow(1, 0, 100), x);
  if (!forget_peak()) GTEST_SKIP() << "the system does not tell the peak";
  const int64_t before = resident_bytes();
  best_matches(x, x);
  EXPECT_LT(peak_resident_bytes() - before, tokens * tokens);  // a quarter of them
}

TEST(BestMatches, RefuseShapesThatDoNotFit) {
  const Tensor x = torch::zeros({2, 3, 4});
  EXPECT_THROW(best_matches(x, torch::zeros({2, 3, 5})), Error);
  EXPECT_THROW(best_matches(x, torch::zeros({1, 3, 4})), Error);
  EXPECT_THROW(best_matches(x, x, torch::ones({2, 4}, torch::kBool)), Error);
}

Tensor of_length_one(const Tensor& x) { return x / x.norm(2, -1, true); }

Tensor plain_energy(const Tensor& tokens, double margin, double alpha) {
  const Tensor wide = tokens.to(torch::kFloat64);
  return torch::elu(torch::bmm(wide, wide.transpose(1, 2)) - margin, alpha).mean(-1);
}

Tensor plain_gaussian(const Tensor& tokens, double sigma) {
  const Tensor wide = tokens.to(torch::kFloat64), far = (1 - torch::bmm(wide, wide.transpose(1, 2))) / sigma;
  return (torch::exp(-0.5 * far * far) / (sigma * std::sqrt(2 * M_PI))).mean(-1);
}

TEST(TokenEnergy, IsTheMeanOverAllTokens) {
  with_each_instruction_set([] {
    torch::manual_seed(6);
    for (const int64_t count : {1, 7, 64, 97, 211})
      for (const int64_t dim : {1, 16, 67}) {
        const Tensor tokens = of_length_one(torch::randn({2, count, dim}));
        for (const double margin : {0.0, 0.5, 0.9})
          for (const double alpha : {1.0, 0.25})
            EXPECT_TRUE(elu_energy(tokens, margin, alpha)
                            .to(torch::kFloat64)
                            .allclose(plain_energy(tokens, margin, alpha), 1e-5, 1e-6))
                << count << " tokens of " << dim;
        for (const double sigma : {0.1, 1.0})
          EXPECT_TRUE(
              gaussian_energy(tokens, sigma).to(torch::kFloat64).allclose(plain_gaussian(tokens, sigma), 1e-5, 1e-6))
              << count << " tokens of " << dim;
      }
  });
}

TEST(TokenEnergy, OfHugeNumbersIsThatOfElu) {
  const Tensor tokens = torch::tensor({{{1e15F, 0.0F}, {-1e15F, 1.0F}, {1.0F, 0.0F}}});
  EXPECT_TRUE(elu_energy(tokens, 0.5).to(torch::kFloat64).allclose(plain_energy(tokens, 0.5, 1), 1e-5, 1e-6));
  EXPECT_TRUE(gaussian_energy(tokens, 0.5).to(torch::kFloat64).allclose(plain_gaussian(tokens, 0.5), 1e-5, 1e-6));
  EXPECT_TRUE(elu_energy(torch::full({1, 3, 2}, NAN), 0.5).isnan().all().item<bool>());
}

TEST(TokenEnergy, ReadsViewsAndKnowsNoTokens) {
  torch::manual_seed(7);
  const Tensor all = torch::randn({2, 50, 20}), tokens = all.slice(1, 1, 50, 3).narrow(2, 2, 9);
  EXPECT_TRUE(elu_energy(tokens, 0.1).equal(elu_energy(tokens.contiguous(), 0.1)));
  EXPECT_EQ(elu_energy(torch::empty({0, 5, 4}), 0.1).sizes(), at::IntArrayRef({0, 5}));
  EXPECT_EQ(gaussian_energy(torch::empty({2, 0, 4}), 0.1).sizes(), at::IntArrayRef({2, 0}));
  EXPECT_THROW(gaussian_energy(tokens, 0), Error);
}

TEST(TokenEnergy, DoesNotDependOnTheThreads) {
  torch::manual_seed(8);
  for (const int64_t batch : {1, 3}) {
    const Tensor tokens = of_length_one(torch::randn({batch, 301, 40}));
    expect_same_for_threads([&] { return elu_energy(tokens, 0.4); });
    expect_same_for_threads([&] { return gaussian_energy(tokens, 0.4); });
  }
}

/// By a matrix that says which token is in which group, in double precision.
Merged plain_merged(const Tensor& x, const Tensor& groups, int64_t count, MergedAs as, const Tensor& masses) {
  const Tensor in = groups.unsqueeze(1).eq(torch::arange(count).view({1, count, 1}));  // B x G x N
  const Tensor member = in.to(torch::kFloat64), wide = x.to(torch::kFloat64);
  const Tensor mass = (member * masses.unsqueeze(1)).sum(-1);
  const auto share = [](const Tensor& sum, const Tensor& by) {
    return (sum / by.unsqueeze(-1)).masked_fill(by.eq(0).unsqueeze(-1), 0);
  };
  if (as == MergedAs::kWeightedMean) return {share((member * masses.unsqueeze(1)).matmul(wide), mass), mass};
  if (as == MergedAs::kMean) return {share(member.matmul(wide), member.sum(-1)), mass};
  if (as == MergedAs::kSum) return {member.matmul(wide), mass};
  if (x.size(1) == 0) return {member.matmul(wide), mass};
  const Tensor largest = wide.unsqueeze(1).masked_fill(in.logical_not().unsqueeze(-1), -kInfinity).amax(2);
  return {largest.masked_fill(in.any(-1).logical_not().unsqueeze(-1), 0), mass};
}

void expect_merged(const Tensor& x, const Tensor& groups, int64_t count, const Tensor& masses) {
  for (const MergedAs as : {MergedAs::kWeightedMean, MergedAs::kMean, MergedAs::kSum, MergedAs::kLargest}) {
    const Merged made = merge_tokens(x, groups, count, as, masses);
    const Tensor given = masses.defined() ? masses : torch::ones({x.size(0), x.size(1)});
    const Merged wanted = plain_merged(x, groups, count, as, given);
    ASSERT_EQ(made.x.sizes(), wanted.x.sizes());
    EXPECT_TRUE(made.x.to(torch::kFloat64).allclose(wanted.x, 1e-5, 1e-5)) << x.sizes() << " to " << count;
    EXPECT_TRUE(made.masses.to(torch::kFloat64).allclose(wanted.masses, 1e-5, 1e-5)) << x.sizes() << " to " << count;
  }
}

TEST(MergeTokens, IsThePlainMeanSumOrMaximumOfEachGroup) {
  with_each_instruction_set([] {
    torch::manual_seed(9);
    for (const int64_t tokens : {1, 7, 97})
      for (const int64_t count : {1, 5, 120})
        for (const int64_t width : {1, 16, 37}) {
          const Tensor groups = torch::randint(-1, count, {2, tokens}, torch::kInt64);  // some are dropped
          const Tensor x = torch::randn({2, tokens, width});
          expect_merged(x, groups, count, {});
          expect_merged(x, groups, count, torch::randint(1, 5, {2, tokens}).to(torch::kFloat32));
        }
  });
}

TEST(MergeTokens, ATokenAloneInItsGroupStaysAsItIs) {
  const Tensor x = torch::tensor({{{1e30F, -1e-30F, 0.1F}, {1.0F, 2.0F, 3.0F}, {kInfinity, 0.7F, -3e38F}}});
  const Tensor groups = torch::tensor({{2L, 0L, 1L}}), masses = torch::tensor({{3.0F, 0.1F, 7.0F}});
  const Tensor wanted = x.index_select(1, torch::tensor({1L, 2L, 0L}));
  for (const MergedAs as : {MergedAs::kWeightedMean, MergedAs::kMean, MergedAs::kSum, MergedAs::kLargest}) {
    const Merged made = merge_tokens(x, groups, 3, as, masses);
    EXPECT_TRUE(made.x.equal(wanted));
    EXPECT_TRUE(made.masses.equal(torch::tensor({{0.1F, 7.0F, 3.0F}})));
  }
}

TEST(MergeTokens, WhatHasNoMassIsZero) {
  const Tensor x = torch::ones({1, 3, 20}), masses = torch::tensor({{0.0F, 0.0F, 2.0F}});
  const Merged made = merge_tokens(x, torch::tensor({{0L, 0L, 1L}}), 3, MergedAs::kWeightedMean, masses);
  EXPECT_TRUE(made.x.select(2, 0).equal(torch::tensor({{0.0F, 1.0F, 0.0F}})));
  EXPECT_TRUE(made.masses.equal(torch::tensor({{0.0F, 2.0F, 0.0F}})));
}

TEST(MergeTokens, ReadsViewsAndKnowsNoTokens) {
  torch::manual_seed(10);
  const Tensor x = torch::randn({2, 20, 30}).slice(1, 0, 20, 2).narrow(2, 3, 17);
  const Tensor groups = torch::randint(4, {10, 2}, torch::kInt64).t(), masses = torch::rand({10, 2}).t();
  expect_merged(x, groups, 4, masses);
  expect_merged(torch::randn({2, 17, 10}).transpose(1, 2), groups, 4, masses);
  expect_merged(torch::empty({0, 5, 3}), torch::empty({0, 5}, torch::kInt64), 2, {});
  expect_merged(torch::empty({2, 0, 3}), torch::empty({2, 0}, torch::kInt64), 2, {});
  const Merged none = merge_tokens(x, torch::full({2, 10}, -1, torch::kInt64), 0, MergedAs::kSum);
  EXPECT_EQ(none.x.sizes(), at::IntArrayRef({2, 0, 17}));
}

TEST(MergeTokens, DoesNotDependOnTheThreads) {
  torch::manual_seed(11);
  const Tensor x = torch::randn({3, 197, 50}), groups = torch::randint(40, {3, 197}, torch::kInt64);
  const Tensor masses = torch::rand({3, 197});
  for (const MergedAs as : {MergedAs::kWeightedMean, MergedAs::kMean, MergedAs::kSum, MergedAs::kLargest})
    expect_same_for_threads([&] { return merge_tokens(x, groups, 40, as, masses).x; });
  expect_same_for_threads([&] { return merge_tokens(x, groups, 40, MergedAs::kSum, masses).masses; });
}

TEST(MergeTokens, RefusesGroupsThatAreNotThereAndShapesThatDoNotFit) {
  const Tensor x = torch::zeros({1, 3, 4}), groups = torch::tensor({{0L, 2L, 1L}});
  EXPECT_THROW(merge_tokens(x, groups, 2, MergedAs::kSum), Error);
  EXPECT_THROW(merge_tokens(x, groups.narrow(1, 0, 2), 3, MergedAs::kSum), Error);
  EXPECT_THROW(merge_tokens(x, groups, 3, MergedAs::kSum, torch::ones({1, 3, 1})), Error);
}

}  // namespace
}  // namespace tessera
