#include "data/pictures.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "support/scratch.h"

namespace tessera {
namespace {

/// Four pictures of the first concept, one of the second.
Pictures uneven() {
  Pictures pictures;
  for (const char* id : {"common", "rare"}) pictures.add_concept({.id = id});
  for (const int64_t index : {0, 0, 1, 0, 0}) pictures.pictures.push_back({.concept_index = index});
  return pictures;
}

TEST(Pictures, BalanceListsRareConceptsAgain) {
  const std::vector<int64_t> all = {0, 1, 2, 3, 4};
  EXPECT_EQ(uneven().balanced(all, 0), all);
  EXPECT_EQ(uneven().balanced(all, 0.5), (std::vector<int64_t>{0, 1, 2, 2, 3, 4}));
  EXPECT_EQ(uneven().balanced(all, 1), (std::vector<int64_t>{0, 1, 2, 2, 2, 2, 3, 4}));
}

TEST(Pictures, BalanceCountsThePicturesOfAllSources) {
  EXPECT_EQ(uneven().balanced({2, 3}, 1), (std::vector<int64_t>{2, 2, 2, 2, 3}));
}

TEST(Pictures, APartOfFashionMnistIsThosePicturesOfIt) {
  if (!std::filesystem::is_directory("/usr/share/datasets/fashion-mnist"))
    GTEST_SKIP() << "the Debian package dataset-fashion-mnist is not installed";
  Pictures whole, part;
  whole.read({"fashion-mnist:test"});
  part.read({"fashion-mnist:test[9990:20000]"});
  ASSERT_EQ(part.pictures.size(), 10U);
  for (size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(part.pictures[i].key, whole.pictures[9990 + i].key);
    EXPECT_EQ(part.pictures[i].pixels.pixels, whole.pictures[9990 + i].pixels.pixels);
  }
}

TEST(Pictures, APartThatIsNoneIsAnErrorThatShowsTheForm) {
  for (const char* part : {"[5:3]", "[:3]", "[1:2", "[1:2]x", "[a:b]"})
    EXPECT_THAT(testing::error_of([&] { Pictures().read({std::string("fashion-mnist:train") + part}); }),
                ::testing::HasSubstr("[BEGIN:END]"));
}

}  // namespace
}  // namespace tessera
