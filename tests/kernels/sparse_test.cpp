#include "kernels/sparse.h"

#include <ATen/Functions.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "kernels/instruction_sets.h"
#include "kernels/packed_linear.h"
#include "kernels/quantised.h"

namespace tessera {
namespace {

using testing::with_each_instruction_set;
using torch::Tensor;

/// A weight with none, one or two of every four inputs at random places.
Tensor random_two_of_four(int64_t outputs, int64_t inputs) {
  const Tensor two = keep_largest(torch::randn({outputs, inputs}), 2, 4);
  return two * torch::rand(two.sizes()).gt(0.2) / std::sqrt(static_cast<double>(inputs));
}

TEST(SparseTest, HasAllOfTheWeightAndHalfOfItsNumbers) {
  torch::manual_seed(1);
  for (const auto type : {torch::kFloat32, torch::kBFloat16, torch::kInt8}) {
    const Tensor weight = (random_two_of_four(50, 96) * 300).to(type);
    ASSERT_TRUE(is_two_of_four(weight));
    const Sparse sparse = to_sparse(weight);
    EXPECT_EQ(sparse.kept.sizes(), torch::IntArrayRef({50, 48}));
    EXPECT_EQ(sparse.places.sizes(), torch::IntArrayRef({50, 24}));
    EXPECT_TRUE(sparse.places.bitwise_and(3).lt(sparse.places.div(4, "floor")).all().item<bool>()) << "in their order";
    EXPECT_TRUE(to_dense(sparse).equal(weight));
    const Tensor bytes = to_place_panels(sparse.places).select(0, 0).transpose(0, 1);  // 64 x 3 x 4
    EXPECT_TRUE(from_place_bytes(bytes).narrow(0, 0, 50).equal(sparse.places));
  }
}

TEST(SparseTest, ThreeOfFourAnywhereIsDense) {
  Tensor weight = random_two_of_four(70, 128);
  EXPECT_TRUE(is_two_of_four(weight));
  weight[69].narrow(0, 124, 3).fill_(1);
  EXPECT_FALSE(is_two_of_four(weight));
  EXPECT_FALSE(is_two_of_four(torch::zeros({4, 6}))) << "no multiple of four";
  EXPECT_FALSE(PackedLinear(weight, {}, Precision::kBfloat16).is_sparse());
}

TEST(SparseTest, TheLargestOfEachGroupAreKept) {
  const Tensor weight = torch::tensor({{1.0, -3.0, 2.0, 0.5, 4.0, 4.0, 4.0, -5.0}});
  EXPECT_TRUE(keep_largest(weight, 2, 4).equal(torch::tensor({{0.0, -3.0, 2.0, 0.0, 4.0, 0.0, 0.0, -5.0}})));
  EXPECT_TRUE(keep_largest(weight, 1, 8).equal(torch::tensor({{0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -5.0}})));
  EXPECT_TRUE(keep_largest(weight, 4, 4).equal(weight));
  EXPECT_THROW(keep_largest(weight, 2, 3), Error);
  EXPECT_THROW(keep_largest(weight, 5, 4), Error);
  EXPECT_THROW(keep_largest(weight, 0, 4), Error);
}

struct Shape {
  int64_t rows, inputs, outputs;
};

/// How the tests' names show it.
void PrintTo(const Shape& shape, std::ostream* out) {
  *out << shape.rows << " rows of " << shape.inputs << " to " << shape.outputs;
}

class SparseLinearTest : public ::testing::TestWithParam<Shape> {
 protected:
  void SetUp() override {
    torch::manual_seed(6);
    const auto [rows, inputs, outputs] = GetParam();
    x_ = torch::randn({rows, inputs});
    weight_ = random_two_of_four(outputs, inputs);
    bias_ = torch::randn({outputs});
  }
  /// The numbers that a layer of this precision multiplies, and how near its sums come to those of doubles.
  struct Rounded {
    Precision precision;
    Tensor x, weight;
    double tolerance;
  };
  std::vector<Rounded> rounded() const {
    const auto narrow = [](const Tensor& t) { return t.to(torch::kBFloat16).to(torch::kFloat64); };
    const auto bytes = [](const Tensor& t) { return dequantised(to_int8(t)).to(torch::kFloat64); };
    return {{Precision::kFloat32, x_.to(torch::kFloat64), weight_.to(torch::kFloat64), 1e-5},
            {Precision::kBfloat16, narrow(x_), narrow(weight_), 1e-4},
            {Precision::kInt8, bytes(x_), bytes(weight_), 1e-3}};
  }
  Tensor x_, weight_, bias_;
};

TEST_P(SparseLinearTest, IsTheProductWithTheWholeWeight) {
  with_each_instruction_set([&] {
    for (const auto& numbers : rounded()) {
      const PackedLinear layer(weight_, bias_, numbers.precision);
      ASSERT_TRUE(layer.is_sparse());
      const Tensor wanted = torch::linear(numbers.x, numbers.weight, bias_.to(torch::kFloat64));
      EXPECT_TRUE(layer.forward(x_).to(torch::kFloat64).allclose(wanted, numbers.tolerance, numbers.tolerance))
          << precision_names()[static_cast<size_t>(numbers.precision)];
    }
  });
}

TEST_P(SparseLinearTest, GatesAndWhatFollowsAreThoseOfTheWholeWeight) {
  if (weight_.size(0) % 2 != 0) GTEST_SKIP() << "no halves";
  const Tensor residual = torch::randn({x_.size(0), weight_.size(0) / 2});
  with_each_instruction_set([&] {
    for (const auto& numbers : rounded()) {
      const PackedLinear layer(weight_, bias_, numbers.precision, true);
      const auto halves = torch::linear(numbers.x, numbers.weight, bias_.to(torch::kFloat64)).chunk(2, -1);
      const Tensor wanted = torch::silu(halves[0]) * halves[1] + residual;
      const Tensor made = layer.forward(x_, {.activation = Nonlinearity::kSilu, .residual = residual});
      EXPECT_TRUE(made.to(torch::kFloat64).allclose(wanted, 5 * numbers.tolerance, 5 * numbers.tolerance))
          << precision_names()[static_cast<size_t>(numbers.precision)];
    }
  });
}

TEST_P(SparseLinearTest, PartsMakeTheSameLayerAgainAndRowsAreTheWeights) {
  const int64_t inputs = weight_.size(1), outputs = weight_.size(0);
  for (const auto& numbers : rounded()) {
    const PackedLinear layer(weight_, bias_, numbers.precision);
    const PackedLinear again(layer.parts(), inputs, outputs, numbers.precision);
    EXPECT_TRUE(again.is_sparse());
    EXPECT_EQ(again.bytes(), layer.bytes());
    EXPECT_TRUE(again.forward(x_).equal(layer.forward(x_)));
    const Tensor some = torch::randint(outputs, {5}, torch::kInt64);
    EXPECT_TRUE(again.rows(some).allclose(numbers.weight.to(torch::kFloat32).index_select(0, some), 1e-5, 1e-6));
    auto parts = layer.parts();
    parts["places"] = parts["places"].narrow(1, 0, 1);
    EXPECT_THROW(PackedLinear(parts, inputs, outputs, numbers.precision), Error);
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, SparseLinearTest,
                         ::testing::Values(Shape{1, 96, 64}, Shape{1, 2048, 100}, Shape{3, 68, 5}, Shape{4, 132, 70},
                                           Shape{8, 1024, 192}, Shape{13, 260, 130}, Shape{32, 128, 66},
                                           Shape{97, 192, 254}));

TEST(SparseLinearBytesTest, AreThoseOfTheKeptHalfAndItsPlaces) {
  const Tensor weight = random_two_of_four(128, 256);
  const auto bytes = [&](const Tensor& of, Precision precision) {
    return static_cast<double>(PackedLinear(of, {}, precision).bytes());
  };
  const Tensor dense = torch::randn({128, 256});
  EXPECT_EQ(bytes(weight, Precision::kFloat32) / bytes(dense, Precision::kFloat32), 17.0 / 32);
  EXPECT_EQ(bytes(weight, Precision::kBfloat16) / bytes(dense, Precision::kBfloat16), 9.0 / 16);
  EXPECT_EQ(bytes(weight, Precision::kInt4), bytes(dense, Precision::kInt4)) << "stays dense";
}

}  // namespace
}  // namespace tessera
