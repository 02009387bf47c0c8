#include "core/huge_pages.h"

#include <gtest/gtest.h>

#include "core/memory_limit.h"

namespace tessera {
namespace {

TEST(HugePages, HoldWhatIsWrittenAtAnySize) {
  for (const int64_t count : {0, 1, 1000, 524288, 524289, 3000001}) {
    const torch::Tensor memory = empty_in_huge_pages({count, 1}, torch::kFloat32);
    ASSERT_EQ(memory.sizes(), at::IntArrayRef({count, 1}));
    memory.copy_(torch::arange(count).unsqueeze(1));
    EXPECT_TRUE(torch::equal(memory, torch::arange(count, torch::kFloat32).unsqueeze(1))) << count;
  }
}

TEST(HugePages, LieWhereTheProcessorLooksForThem) {
  const torch::Tensor memory = empty_in_huge_pages({3, 1 << 20}, torch::kUInt8);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(memory.data_ptr()) % (2 << 20), 0U);
}

TEST(HugePages, AreCountedAsTensorsAre) {
  const TensorGrowth growth;
  { const torch::Tensor memory = empty_in_huge_pages({5, 1 << 20}, torch::kUInt8); }
  EXPECT_EQ(growth.most(), 5 << 20);
  const TensorGrowth after;
  const torch::Tensor again = empty_in_huge_pages({2, 1 << 20}, torch::kUInt8);
  EXPECT_EQ(after.most(), 2 << 20);  // the first is no longer counted
}

}  // namespace
}  // namespace tessera
