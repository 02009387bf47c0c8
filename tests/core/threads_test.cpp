#include "core/threads.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <thread>

#include "core/progress.h"
#include "support/scratch.h"

namespace tessera {
namespace {

class Threads : public ::testing::Test {
 protected:
  void TearDown() override {
    ::unsetenv("TESSERA_THREADS");
    use_threads(before);
  }
  int before = threads();
};

TEST_F(Threads, WithoutAWishAllCoresAreUsed) {
  ::unsetenv("TESSERA_THREADS");
  use_threads();
  EXPECT_EQ(threads(), std::max(1, static_cast<int>(std::thread::hardware_concurrency())));
}

TEST_F(Threads, TheEnvironmentCountsAndAnArgumentCountsMore) {
  ::setenv("TESSERA_THREADS", "3", 1);
  use_threads();
  EXPECT_EQ(threads(), 3);
  use_threads(2);
  EXPECT_EQ(threads(), 2);
}

TEST_F(Threads, WhatIsNoNumberOfThreadsIsAnError) {
  for (const char* text : {"many", "0", "-2", "2x", "1e3", "99999999999999999999"}) {
    ::setenv("TESSERA_THREADS", text, 1);
    EXPECT_THAT(testing::error_of([] { use_threads(); }), ::testing::HasSubstr("TESSERA_THREADS")) << text;
  }
  EXPECT_NO_THROW(use_threads(1));
}

TEST(FormatDuration, ReadsAsAClock) {
  EXPECT_EQ(format_duration(0), "0:00");
  EXPECT_EQ(format_duration(75), "1:15");
  EXPECT_EQ(format_duration(3700), "1:01:40");
}

}  // namespace
}  // namespace tessera
