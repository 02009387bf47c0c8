#include "core/process_memory.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>

namespace tessera {
namespace {

constexpr int64_t kMegabytes = 1 << 20;

TEST(ProcessMemory, PagesCountWhileTheyAreHeldAndInThePeakAfterwards) {
  if (!forget_peak()) GTEST_SKIP() << "no /proc/self/clear_refs";
  const int64_t before = resident_bytes();
  ASSERT_GT(before, 0);
  constexpr size_t size = 64 * kMegabytes;
  void* pages = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(pages, MAP_FAILED);
  EXPECT_LT(resident_bytes(), before + 32 * kMegabytes) << "what is not touched takes nothing";
  std::memset(pages, 1, size);
  EXPECT_GT(resident_bytes(), before + 60 * kMegabytes);
  ::munmap(pages, size);
  EXPECT_LT(resident_bytes(), before + 32 * kMegabytes);
  EXPECT_GT(peak_resident_bytes(), before + 60 * kMegabytes);
  forget_peak();
  EXPECT_LT(peak_resident_bytes(), before + 32 * kMegabytes);
}

}  // namespace
}  // namespace tessera
