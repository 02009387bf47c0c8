#include "train/sample_order.h"

#include <gmock/gmock.h>

#include <algorithm>

namespace tessera {
namespace {

using ::testing::ElementsAre;

constexpr SampleOrder kSeven = {.seed = 3, .purpose = 22, .samples = 7, .batch = 3};

/// The samples of all micro-batches of some passes, one after the other.
std::vector<int64_t> chosen_in(const SampleOrder& order, int64_t passes) {
  std::vector<int64_t> all;
  for (int64_t number = 0; number * order.batch < passes * order.samples; ++number)
    for (const int64_t sample : chosen_samples(order, number)) all.push_back(sample);
  all.resize(static_cast<size_t>(passes * order.samples));
  return all;
}

TEST(SampleOrder, EveryPassTakesAllInAnotherOrder) {
  const auto all = chosen_in(kSeven, 4);
  std::vector<std::vector<int64_t>> passes;
  for (auto begin = all.begin(); begin != all.end(); begin += 7) {
    EXPECT_THAT(std::vector<int64_t>(begin, begin + 7), ::testing::UnorderedElementsAre(0, 1, 2, 3, 4, 5, 6));
    passes.emplace_back(begin, begin + 7);
  }
  std::sort(passes.begin(), passes.end());
  EXPECT_EQ(std::unique(passes.begin(), passes.end()), passes.end());
}

TEST(SampleOrder, TheSizeOfABatchDoesNotChangeTheOrder) {
  for (const int64_t batch : {1, 2, 7, 20}) {
    SampleOrder other = kSeven;
    other.batch = batch;
    EXPECT_EQ(chosen_in(other, 3), chosen_in(kSeven, 3)) << batch;
  }
}

TEST(SampleOrder, SeedAndPurposeDoChangeIt) {
  SampleOrder seed = kSeven, purpose = kSeven;
  ++seed.seed, ++purpose.purpose;
  EXPECT_NE(chosen_in(seed, 1), chosen_in(kSeven, 1));
  EXPECT_NE(chosen_in(purpose, 1), chosen_in(kSeven, 1));
}

/// Runs that were begun go on, and published ones can be repeated, only with the order that they had.
TEST(SampleOrder, IsWhatItHasAlwaysBeen) { EXPECT_THAT(chosen_samples(kSeven, 2), ElementsAre(1, 2, 5)); }

}  // namespace
}  // namespace tessera
