#include "core/size_text.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace tessera {
namespace {

TEST(SizeText, ReadsNumbersWithAndWithoutUnits) {
  EXPECT_EQ(parse_size("800", "x"), 800);
  EXPECT_EQ(parse_size("512M", "x"), int64_t{512} << 20);
  EXPECT_EQ(parse_size("1.5G", "x"), int64_t{3} << 29);
  EXPECT_EQ(parse_size(".5k", "x"), 512);
  EXPECT_EQ(parse_size("2GiB", "x"), int64_t{2} << 30);
  EXPECT_EQ(parse_size("3tb", "x"), int64_t{3} << 40);
  EXPECT_EQ(parse_size("7B", "x"), 7);
}

TEST(SizeText, RefusesWhatIsNoSize) {
  for (const char* text :
       {"",    "1.5.5", "1.5.5G", "-1",  "-1G",   "+1", "NaN", "nan",           "inf", "1e9",  "0x10",
        "1 G", "G",     "1Q",     "1GG", "1GiBB", "0",  "0.1", "999999999999T", ".",   "1,5G", "1G "})
    EXPECT_THROW(parse_size(text, "--max-memory"), Error) << text;
}

TEST(SizeText, WritesWhatItReads) {
  EXPECT_EQ(size_text(800), "800 bytes");
  EXPECT_EQ(size_text(int64_t{512} << 20), "512 MB");
  EXPECT_EQ(size_text(int64_t{3} << 29), "1.5 GB");
}

}  // namespace
}  // namespace tessera
