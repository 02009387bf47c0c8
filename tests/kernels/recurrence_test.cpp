#include "kernels/recurrence.h"

#include <ATen/Functions.h>

#include <cmath>

#include "kernels/instruction_sets.h"

namespace tessera {
namespace {

using testing::with_each_instruction_set;
using torch::Tensor;

TEST(SumsOfPowers, AreThoseOfTheExponentialsInDoublePrecision) {
  with_each_instruction_set([] {
    torch::manual_seed(1);
    for (const int64_t channels : {1, 19, 32})
      for (const int64_t terms : {1, 6, 16})
        for (const int64_t length : {1, 9, 700}) {
          const Tensor coefficient = torch::complex(torch::randn({channels, terms}), torch::randn({channels, terms}));
          const Tensor log_ratio =
              torch::complex(-0.1 * torch::rand({channels, terms}), 3 * torch::rand({channels, terms}));
          const Tensor at = torch::arange(length, torch::kFloat64);
          const Tensor powers = torch::exp(log_ratio.to(torch::kComplexDouble).unsqueeze(-1) * at);
          const Tensor expected = torch::real((coefficient.unsqueeze(-1) * powers).sum(1));
          const Tensor sums = sums_of_powers(coefficient, log_ratio, length);
          ASSERT_EQ(sums.sizes(), expected.sizes());
          EXPECT_LT((sums - expected).abs().max().item<double>(), 1e-3) << channels << " " << terms << " " << length;
        }
  });
}

TEST(SumsOfPowers, OneRowOfExponentsServesAllChannels) {
  torch::manual_seed(2);
  const Tensor coefficient = torch::complex(torch::randn({5, 3}), torch::randn({5, 3}));
  const Tensor log_ratio = torch::complex(-torch::rand({1, 3}), torch::rand({1, 3}));
  EXPECT_TRUE(sums_of_powers(coefficient, log_ratio, 300)
                  .allclose(sums_of_powers(coefficient, log_ratio.repeat({5, 1}), 300), 1e-5, 1e-5));
}

TEST(FusedSelectiveScan, IsTheRecurrenceTokenByToken) {
  with_each_instruction_set([] {
    torch::manual_seed(3);
    for (const int64_t channels : {2, 34})
      for (const int64_t groups : {1, 2})
        for (const int64_t length : {1, 12}) {
          const int64_t states = 5;
          const Tensor x = torch::randn({2, length, channels}), dt = 3 * torch::rand({2, length, channels});
          const Tensor a = -10 * torch::rand({channels, states});
          const Tensor b = torch::randn({2, length, groups, states}), c = torch::randn({2, length, groups, states});
          Tensor state = torch::randn({2, channels, states}), expected_state = state.clone();
          std::vector<Tensor> expected;
          for (int64_t t = 0; t < length; ++t) {
            const auto of_token = [&](const Tensor& given) {
              return given.select(1, t).repeat_interleave(channels / groups, 1);  // B x D x N
            };
            const Tensor step = dt.select(1, t).unsqueeze(-1);
            expected_state = torch::exp(step * a) * expected_state + step * of_token(b) * x.select(1, t).unsqueeze(-1);
            expected.push_back((expected_state * of_token(c)).sum(-1));
          }
          const Tensor y = fused_selective_scan(x, dt, a, b, c, state);
          EXPECT_TRUE(y.allclose(torch::stack(expected, 1), 1e-4, 1e-4)) << channels << " " << groups;
          EXPECT_TRUE(state.allclose(expected_state, 1e-4, 1e-4)) << channels << " " << groups;
        }
  });
}

TEST(FusedSelectiveScan, OneDecayOfAChannelServesAllItsStates) {
  with_each_instruction_set([] {
    torch::manual_seed(4);
    const int64_t length = 9, channels = 21, states = 6;
    const Tensor x = torch::randn({2, length, channels}), dt = torch::rand({2, length, channels});
    const Tensor a = -3 * torch::rand({channels, 1});
    const Tensor b = torch::randn({2, length, 1, states}), c = torch::randn({2, length, 1, states});
    Tensor state = torch::randn({2, channels, states}), other = state.clone();
    const Tensor y = fused_selective_scan(x, dt, a, b, c, state);
    EXPECT_TRUE(y.allclose(fused_selective_scan(x, dt, a.expand({channels, states}), b, c, other), 1e-5, 1e-5));
    EXPECT_TRUE(state.allclose(other, 1e-5, 1e-5));
  });
}

TEST(FusedSelectiveScan, AnEmptySequenceLeavesTheState) {
  Tensor state = torch::randn({2, 4, 3});
  const Tensor before = state.clone(), none = torch::empty({2, 0, 4}), selection = torch::empty({2, 0, 1, 3});
  EXPECT_EQ(fused_selective_scan(none, none, -torch::ones({4, 3}), selection, selection, state).numel(), 0);
  EXPECT_TRUE(state.equal(before));
}

TEST(WeightedMeans, AreTheMeansWithTheirWeightsInDoublePrecision) {
  with_each_instruction_set([] {
    torch::manual_seed(4);
    for (const int64_t channels : {1, 40})
      for (const int64_t length : {1, 13})
        for (const double scale : {1.0, 30.0}) {  // keys whose exponentials leave float32, too
          const Tensor key = scale * torch::randn({2, length, channels}), value = torch::randn({2, length, channels});
          const Tensor decay = torch::rand({channels}), bonus = torch::randn({channels});
          const Tensor result = weighted_means(key, value, decay, bonus);
          for (int64_t t = 0; t < length; ++t) {
            const Tensor age = torch::arange(t - 1, -2, -1, torch::kFloat64).view({1, -1, 1});  // -1: the newest
            const Tensor weight = key.narrow(1, 0, t + 1) + torch::where(age.lt(0), bonus, -decay * age);
            const Tensor expected = (weight.to(torch::kFloat64).softmax(1) * value.narrow(1, 0, t + 1)).sum(1);
            EXPECT_TRUE(result.select(1, t).to(torch::kFloat64).allclose(expected, 1e-4, 1e-4)) << t;
          }
        }
  });
}

TEST(DecayScores, AreThoseOfTheDecaysUpToTheQuery) {
  with_each_instruction_set([] {
    torch::manual_seed(5);
    for (const int64_t length : {1, 9, 33}) {
      const Tensor scores = torch::randn({2, 3, length, length}), entered = 50 * torch::randn({2, 3, length});
      const Tensor before = 50 * torch::randn({2, 3});
      const Tensor tops = torch::maximum(std::get<0>(entered.cummax(-1)), before.unsqueeze(-1));
      const Tensor expected = (scores * torch::exp(entered.unsqueeze(2) - tops.unsqueeze(3))).tril();
      const Tensor decayed = scores.clone();
      const DecayedScores result = decay_scores(decayed, entered, before);
      EXPECT_TRUE(decayed.allclose(expected.nan_to_num(), 1e-4, 1e-6)) << length;
      EXPECT_TRUE(result.tops.equal(tops)) << length;
      EXPECT_TRUE(result.sums.allclose(decayed.sum(-1), 1e-4, 1e-5)) << length;
    }
  });
}

}  // namespace
}  // namespace tessera
