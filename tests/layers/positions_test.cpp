#include "layers/positions.h"

#include "core/error.h"
#include "layers/promises.h"

namespace tessera {
namespace {

using testing::distance;

TEST(ResamplePositions, TheSameGridIsTheSameTable) {
  const Tensor table = torch::randn({1, 1 + 12, 8});
  EXPECT_TRUE(torch::equal(resample_positions(table, 1, {3, 4}, {3, 4}), table));
}

TEST(ResamplePositions, KeepsThePrefixAndMakesTheRowsThatAreAskedFor) {
  const Tensor table = torch::randn({1, 2 + 12, 8});
  for (const bool antialias : {false, true})
    for (const Grid& to : {Grid{6, 8}, Grid{1, 1}, Grid{2, 7}, Grid{4, 3}}) {
      const Tensor other = resample_positions(table, 2, {3, 4}, to, antialias);
      EXPECT_EQ(other.sizes(), (std::vector<int64_t>{1, 2 + to[0] * to[1], 8}));
      EXPECT_TRUE(torch::equal(other.narrow(1, 0, 2), table.narrow(1, 0, 2)));
    }
}

TEST(ResamplePositions, AConstantTableStaysConstant) {
  const Tensor row = torch::randn({1, 1, 8});
  for (const bool antialias : {false, true})
    for (const Grid& to : {Grid{7, 9}, Grid{2, 2}, Grid{1, 1}}) {
      const Tensor other = resample_positions(row.expand({1, 12, 8}), 0, {3, 4}, to, antialias);
      EXPECT_LT(distance(other, row.expand({1, to[0] * to[1], 8})), 1e-5);
    }
}

TEST(ResamplePositions, IsLinearInTheTable) {
  const Tensor a = torch::randn({1, 12, 4}), b = torch::randn({1, 12, 4});
  const auto resample = [](const Tensor& x) { return resample_positions(x, 0, {3, 4}, {5, 2}, true); };
  EXPECT_LT(distance(resample(2 * a + b), 2 * resample(a) + resample(b)), 1e-5);
}

TEST(ResamplePositions, TransposedTablesGiveTransposedResults) {
  const Tensor table = torch::randn({3, 4, 8});
  const Tensor upright = resample_positions(table.reshape({1, 12, 8}), 0, {3, 4}, {5, 6}).reshape({5, 6, 8});
  const Tensor lying =
      resample_positions(table.transpose(0, 1).reshape({1, 12, 8}), 0, {4, 3}, {6, 5}).reshape({6, 5, 8});
  EXPECT_LT(distance(upright.transpose(0, 1), lying), 1e-5);
}

TEST(ResamplePositions, GradientsReachTheTable) {
  Tensor table = torch::randn({1, 13, 4}).requires_grad_();
  resample_positions(table, 1, {3, 4}, {5, 5}).pow(2).sum().backward();
  EXPECT_GT(table.grad().abs().amin({0, 2}).min().item<double>(), 0);
}

TEST(SineCosinePositions, EveryRowHasTheSameLength) {
  const Tensor table = sine_cosine_positions(5, 7, 16);
  EXPECT_EQ(table.sizes(), (std::vector<int64_t>{35, 16}));
  EXPECT_LT(distance(table.pow(2).sum(1), torch::full({35}, 8.0)), 1e-5);
}

TEST(SineCosinePositions, TheFirstHalfIsTheColumnAndTheSecondTheRow) {
  const Tensor table = sine_cosine_positions(5, 7, 16).reshape({5, 7, 16});
  for (int64_t row = 1; row < 5; ++row) EXPECT_TRUE(torch::equal(table[row].narrow(1, 0, 8), table[0].narrow(1, 0, 8)));
  for (int64_t column = 1; column < 7; ++column)
    EXPECT_TRUE(torch::equal(table.select(1, column).narrow(1, 8, 8), table.select(1, 0).narrow(1, 8, 8)));
  const Tensor origin = table[0][0];  // sin 0 = 0 and cos 0 = 1
  EXPECT_EQ(origin.sum().item<float>(), 8);
}

TEST(SineCosinePositions, SimilarityDependsOnTheOffsetAlone) {
  const Tensor table = sine_cosine_positions(6, 6, 32).reshape({6, 6, 32});
  const auto similarity = [&](int64_t r, int64_t c, int64_t down, int64_t right) {
    return (table[r][c] * table[r + down][c + right]).sum().item<double>();
  };
  EXPECT_NEAR(similarity(0, 0, 2, 3), similarity(3, 2, 2, 3), 1e-4);
  EXPECT_NEAR(similarity(1, 0, 0, 4), similarity(5, 1, 0, 4), 1e-4);
  EXPECT_GT(similarity(2, 2, 0, 0), similarity(2, 2, 1, 1));
}

TEST(SineCosinePositions, TheWidthMustBeAMultipleOfFour) { EXPECT_THROW(sine_cosine_positions(2, 2, 6), Error); }

}  // namespace
}  // namespace tessera
