#include "data/pictures.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace tessera
