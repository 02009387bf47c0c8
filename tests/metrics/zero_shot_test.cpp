#include "metrics/zero_shot.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "metrics/retrieval.h"

namespace tessera {
namespace {

TEST(ZeroShot, CountsRanksAndGivesTiesNoCredit) {
  const torch::Tensor scores = torch::tensor({{3.0, 2.0, 1.0}, {3.0, 2.0, 1.0}, {1.0, 1.0, 1.0}});
  const torch::Tensor ranks = true_ranks(scores, torch::tensor({0, 2, 1}, torch::kInt64));
  EXPECT_TRUE(ranks.equal(torch::tensor({1, 3, 3}, torch::kInt64)));
  EXPECT_DOUBLE_EQ(accuracy_at(ranks, 1), 1.0 / 3);
  EXPECT_DOUBLE_EQ(accuracy_at(ranks, 3), 1);
  EXPECT_EQ(accuracy_at(torch::empty({0}), 1), 0);
}

TEST(ZeroShot, DoesNotDependOnTheLengthOfFeatures) {
  const torch::Tensor images = torch::tensor({{10.0, 1.0}, {0.1, 1.0}}),
                      texts = torch::tensor({{1.0, 0.0}, {0.0, 90.0}});
  const ZeroShotResult result = zero_shot(images, texts, torch::tensor({0, 1}, torch::kInt64));
  EXPECT_EQ(result.top1, 1);
  EXPECT_EQ(result.pictures, 2);
}

TEST(ZeroShot, RefusesBrokenInput) {
  const torch::Tensor scores = torch::zeros({1, 2});
  EXPECT_THROW(true_ranks(scores, torch::tensor({2}, torch::kInt64)), Error);
  EXPECT_THROW(true_ranks(torch::full({1, 2}, std::nan("")), torch::tensor({0}, torch::kInt64)), Error);
}

TEST(Retrieval, OneRelevantItemAmongTheBestIsEnough) {
  const torch::Tensor scores = torch::tensor({{4.0, 3.0, 2.0, 1.0}, {4.0, 3.0, 2.0, 1.0}, {4.0, 3.0, 2.0, 1.0}});
  torch::Tensor relevant = torch::zeros({3, 4}, torch::kBool);
  relevant[0][0] = relevant[0][3] = true;
  relevant[1][2] = true;  // the third query has nothing relevant and does not count
  EXPECT_DOUBLE_EQ(recall_at(scores, relevant, 1), 0.5);
  EXPECT_DOUBLE_EQ(recall_at(scores, relevant, 3), 1);
  EXPECT_DOUBLE_EQ(recall_at(scores, relevant, 100), 1);
}

}  // namespace
}  // namespace tessera
