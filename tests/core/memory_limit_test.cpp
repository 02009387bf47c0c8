#include "core/memory_limit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <optional>

#include "core/process_memory.h"

namespace tessera {
namespace {

constexpr int64_t kMegabytes = 1 << 20;

torch::Tensor tensor_of(int64_t megabytes) { return torch::ones({megabytes * kMegabytes}, torch::kUInt8); }

class MemoryLimit : public ::testing::Test {
 protected:
  /// Tensors may take about this much more than what is there.
  static void allow(int64_t megabytes, int64_t weights = 0) {
    give_back_freed_memory();
    limit_memory(resident_bytes() + (megabytes + 40) * kMegabytes);
    enforce_memory_limit(weights);
  }
  void TearDown() override { limit_memory(0); }
};

TEST_F(MemoryLimit, RefusesATensorThatDoesNotFitAndSaysWhatWouldBeNeeded) {
  allow(64);
  EXPECT_NO_THROW(tensor_of(32));
  try {
    tensor_of(200);
    FAIL() << "200 MB were given where 64 are allowed";
  } catch (const OutOfMemory& error) {
    EXPECT_THAT(error.what(),
                ::testing::AllOf(::testing::HasSubstr("--max-memory"), ::testing::HasSubstr("needs at least")));
  }
}

TEST_F(MemoryLimit, FreedMemoryIsRoomAgain) {
  allow(64);
  const int64_t before = memory_room();
  for (int i = 0; i < 10; ++i) {
    const torch::Tensor held = tensor_of(40);
    EXPECT_NEAR(static_cast<double>(memory_room()), static_cast<double>(before - 40 * kMegabytes), 2.0 * kMegabytes);
    EXPECT_THROW(tensor_of(40), OutOfMemory);
  }
  EXPECT_EQ(memory_room(), before);
}

TEST_F(MemoryLimit, WhatIsRefusedTakesNothing) {
  allow(64);
  const int64_t before = memory_room();
  for (int i = 0; i < 10; ++i) EXPECT_THROW(tensor_of(100), OutOfMemory);
  EXPECT_EQ(memory_room(), before);
}

TEST_F(MemoryLimit, TensorsOfBeforeMayDieUnderItAndThoseOfItAfterwards) {
  std::optional<torch::Tensor> old = tensor_of(8);
  allow(64);
  const int64_t before = memory_room();
  std::optional<torch::Tensor> young = tensor_of(8);
  old.reset();
  limit_memory(0);
  young.reset();
  EXPECT_FALSE(memory_is_limited());
  EXPECT_NO_THROW(tensor_of(100));
  EXPECT_GT(before, 0);
}

TEST_F(MemoryLimit, MappedWeightsCountAsHeld) {
  allow(64);
  const int64_t without = memory_room();
  allow(64, 40 * kMegabytes);
  EXPECT_NEAR(static_cast<double>(memory_room()), static_cast<double>(without - 40 * kMegabytes), 4.0 * kMegabytes);
  EXPECT_THROW(allow(64, 100 * kMegabytes), OutOfMemory);
}

TEST_F(MemoryLimit, WeightsThatCannotFitAreRefusedBeforeTheyAreLoaded) {
  allow(64);
  EXPECT_NO_THROW(check_weights_fit(20 * kMegabytes));
  EXPECT_THROW(check_weights_fit(1000 * kMegabytes), OutOfMemory);
  limit_memory(0);
  EXPECT_NO_THROW(check_weights_fit(int64_t{1} << 50));
}

TEST(FittingBatches, AreHalvedUntilTheyFitAndStaySmall) {
  std::vector<std::pair<size_t, size_t>> done;
  std::vector<size_t> tried;
  FittingBatches batches;
  const auto work = [&](size_t begin, size_t count) {
    tried.push_back(count);
    if (count > 3) throw OutOfMemory(2, 1);
    done.emplace_back(begin, count);
  };
  batches.run(12, work);
  EXPECT_THAT(tried, ::testing::ElementsAre(12, 6, 3, 3, 3, 3));
  batches.run(4, work);
  EXPECT_THAT(done, ::testing::ElementsAre(::testing::Pair(0, 3), ::testing::Pair(3, 3), ::testing::Pair(6, 3),
                                           ::testing::Pair(9, 3), ::testing::Pair(0, 3), ::testing::Pair(3, 1)));
  EXPECT_THROW(batches.run(2, [](size_t, size_t) { throw OutOfMemory(2, 1); }), OutOfMemory);
  batches.run(0, [](size_t, size_t) { FAIL(); });
}

}  // namespace
}  // namespace tessera
