#include "core/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace tessera {
namespace {

TEST(Random, TheSameSeedDrawsTheSame) {
  Random a(7), b(7), c(8);
  std::vector<uint64_t> first, second, other;
  for (int i = 0; i < 100; ++i) first.push_back(a.bits()), second.push_back(b.bits()), other.push_back(c.bits());
  EXPECT_EQ(first, second);
  EXPECT_NE(first, other);
}

TEST(Random, IsTheSameOnEveryPlatform) {
  EXPECT_EQ(Random(0).bits(), 0xE220A8397B1DCDAFULL);  // SplitMix64's published first output of seed 0
}

TEST(Random, UniformDrawsFillTheIntervalEvenly) {
  Random random(1);
  double sum = 0;
  for (int i = 0; i < 100000; ++i) {
    const double x = random.uniform();
    ASSERT_GE(x, 0);
    ASSERT_LT(x, 1);
    sum += x;
  }
  EXPECT_NEAR(sum / 100000, 0.5, 0.005);
}

TEST(Random, BelowReachesEveryNumberAndNoOther) {
  Random random(2);
  std::set<uint64_t> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(random.below(7));
  EXPECT_EQ(seen, (std::set<uint64_t>{0, 1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(random.below(1), 0u);
}

TEST(Random, NormalDrawsHaveMeanZeroAndVarianceOne) {
  Random random(3);
  double sum = 0, squares = 0;
  for (int i = 0; i < 100000; ++i) {
    const double x = random.normal();
    sum += x, squares += x * x;
  }
  EXPECT_NEAR(sum / 100000, 0, 0.02);
  EXPECT_NEAR(squares / 100000, 1, 0.03);
}

TEST(Random, ChanceOfZeroNeverAndOfOneAlways) {
  Random random(4);
  for (int i = 0; i < 1000; ++i) {
    EXPECT_FALSE(random.chance(0));
    EXPECT_TRUE(random.chance(1));
  }
}

TEST(Random, APermutationHoldsEveryNumberOnce) {
  for (const int64_t count : {0, 1, 2, 17, 1000}) {
    auto order = Random(5).permutation(count);
    EXPECT_EQ(order, Random(5).permutation(count));
    if (count == 1000) {
      EXPECT_FALSE(std::is_sorted(order.begin(), order.end()));
    }
    std::sort(order.begin(), order.end());
    for (int64_t i = 0; i < count; ++i) EXPECT_EQ(order[static_cast<size_t>(i)], i);
  }
}

TEST(Random, MixedSeedsDifferInEveryPart) {
  std::set<uint64_t> seeds;
  for (uint64_t seed = 0; seed < 10; ++seed)
    for (uint64_t epoch = 0; epoch < 10; ++epoch)
      for (uint64_t item = 0; item < 10; ++item) seeds.insert(mix_seed(seed, epoch, item));
  EXPECT_EQ(seeds.size(), 1000u);
}

}  // namespace
}  // namespace tessera
