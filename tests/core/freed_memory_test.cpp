#include "core/freed_memory.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstdlib>
#include <cstring>

namespace tessera {
namespace {

/// The pages that the system handed out while 64 MB were taken, written and given back.
int64_t pages_of_a_round() {
  const auto pages = [] {
    rusage used{};
    getrusage(RUSAGE_SELF, &used);
    return int64_t{used.ru_minflt};
  };
  const int64_t before = pages();
  void* memory = std::malloc(64 << 20);
  std::memset(memory, 1, 64 << 20);
  asm volatile("" : : "r"(memory) : "memory");  // so that nothing of it is left out
  std::free(memory);
  return pages() - before;
}

TEST(FreedMemory, IsTakenAgainWithoutNewPages) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers have an allocator of their own";
#endif
#ifndef __GLIBC__
  GTEST_SKIP() << "glibc alone";
#endif
  keep_freed_memory();
  pages_of_a_round();
  EXPECT_LT(pages_of_a_round(), 100);
}

}  // namespace
}  // namespace tessera
