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

/// A weight that keeps at most so many of its numbers, at random places; some groups keep fewer.
Tensor random_sparse(int64_t outputs, int64_t inputs, const SparsePattern& pattern) {
  const Tensor largest = keep_largest(torch::randn({outputs, inputs}), pattern.kept, pattern.of);
  return largest * torch::rand(largest.sizes()).gt(0.2) / std::sqrt(static_cast<double>(inputs));
}

std::string text_of(const SparsePattern& pattern) {
  return std::to_string(pattern.kept) + ":" + std::to_string(pattern.of);
}

/// The places in each group, ascending.
Tensor sorted_places(const Sparse& sparse) {
  return std::get<0>(sparse.places.view({sparse.places.size(0), -1, sparse.pattern.kept}).sort(-1));
}

TEST(SparseTest, HasAllOfTheWeightAndOnlyTheNumbersOfThePattern) {
  torch::manual_seed(1);
  for (const SparsePattern& pattern : kSparsePatterns)
    for (const auto type : {torch::kFloat32, torch::kBFloat16, torch::kInt8}) {
      const ::testing::ScopedTrace trace(__FILE__, __LINE__, text_of(pattern));
      const Tensor weight = (random_sparse(50, 256, pattern) * 300).to(type);
      ASSERT_TRUE(has_pattern(weight, pattern));
      const Sparse sparse = to_sparse(weight, pattern);
      EXPECT_EQ(sparse.kept.sizes(), torch::IntArrayRef({50, 256 / pattern.of * pattern.kept}));
      EXPECT_EQ(sparse.places.sizes(), sparse.kept.sizes());
      EXPECT_TRUE(sorted_places(sparse).diff().gt(0).all().item<bool>()) << "none of a group twice";
      EXPECT_TRUE(to_dense(sparse).equal(weight));
      const Tensor bytes = to_place_panels(sparse, type).select(0, 0).transpose(0, 1);  // 64 x words x 4
      EXPECT_EQ(bytes.size(1), sparse.kept.size(1) / pattern.places_of_word());
      EXPECT_TRUE(from_place_bytes(bytes, pattern, type).narrow(0, 0, 50).equal(sparse.places));
    }
}

TEST(SparseTest, OneMoreAnywhereIsNotThePattern) {
  for (const SparsePattern& pattern : kSparsePatterns) {
    const ::testing::ScopedTrace trace(__FILE__, __LINE__, text_of(pattern));
    Tensor weight = random_sparse(70, 128, pattern);
    EXPECT_TRUE(has_pattern(weight, pattern));
    weight[69].narrow(0, 128 - pattern.of, pattern.kept + 1).fill_(1);
    EXPECT_FALSE(has_pattern(weight, pattern));
    EXPECT_FALSE(has_pattern(torch::zeros({4, pattern.of + 2}), pattern)) << "no multiple";
  }
  Tensor weight = random_sparse(70, 128, {4, 8});
  weight[69].narrow(0, 120, 5).fill_(1);
  EXPECT_FALSE(PackedLinear(weight, {}, Precision::kBfloat16).is_sparse());
}

TEST(SparseTest, LayersHaveTheTightestPatternOfTheirRoundedWeights) {
  torch::manual_seed(2);
  for (const auto precision : {Precision::kFloat32, Precision::kBfloat16, Precision::kInt8}) {
    for (const SparsePattern& pattern : kSparsePatterns) {
      const ::testing::ScopedTrace trace(__FILE__, __LINE__, text_of(pattern));
      const Tensor weight = keep_largest(torch::randn({70, 1024}), pattern.kept, pattern.of);
      EXPECT_TRUE(PackedLinear(weight, {}, precision).pattern() == pattern);
    }
    EXPECT_FALSE(PackedLinear(torch::randn({70, 1024}), {}, precision).is_sparse());
  }
  const Tensor odd = keep_largest(torch::randn({70, 1028}), 1, 4);
  EXPECT_TRUE(PackedLinear(odd, {}, Precision::kBfloat16).pattern() == (SparsePattern{1, 4}));
  Tensor weight = keep_largest(torch::randn({70, 1024}), 1, 8);
  weight.add_(weight.eq(0) * weight.abs().max() * 1e-4);  // which int8 rounds to zero
  EXPECT_TRUE(PackedLinear(weight, {}, Precision::kInt8).pattern() == (SparsePattern{1, 8}));
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

struct Case {
  SparsePattern pattern;
  int64_t inputs, outputs;
};

/// How the tests' names show it.
void PrintTo(const Case& item, std::ostream* out) {
  *out << text_of(item.pattern) << ", " << item.inputs << " to " << item.outputs;
}

constexpr int64_t kMostRows = 150;  // more than are multiplied with 2:4 as it is kept

class SparseLinearTest : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    torch::manual_seed(6);
    const auto [pattern, inputs, outputs] = GetParam();
    x_ = torch::randn({kMostRows, inputs});
    weight_ = random_sparse(outputs, inputs, pattern);
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

TEST_P(SparseLinearTest, IsTheProductWithTheWholeWeightForAnyNumberOfRows) {
  with_each_instruction_set([&] {
    for (const auto& numbers : rounded()) {
      const PackedLinear layer(weight_, bias_, numbers.precision);
      ASSERT_TRUE(layer.pattern() == GetParam().pattern);
      const Tensor wanted = torch::linear(numbers.x, numbers.weight, bias_.to(torch::kFloat64));
      for (int64_t rows = 1; rows <= kMostRows; rows += rows < 40 ? 1 : 55) {
        const Tensor made = layer.forward(x_.narrow(0, 0, rows)).to(torch::kFloat64);
        EXPECT_TRUE(made.allclose(wanted.narrow(0, 0, rows), numbers.tolerance, numbers.tolerance))
            << rows << " rows, " << precision_names()[static_cast<size_t>(numbers.precision)];
      }
    }
  });
}

TEST_P(SparseLinearTest, GatesAndWhatFollowsAreThoseOfTheWholeWeight) {
  with_each_instruction_set([&] {
    for (const auto& numbers : rounded()) {
      const PackedLinear layer(weight_, bias_, numbers.precision, true);
      const auto halves = torch::linear(numbers.x, numbers.weight, bias_.to(torch::kFloat64)).chunk(2, -1);
      for (const int64_t rows : {int64_t{1}, int64_t{7}, kMostRows}) {
        const Tensor residual = torch::randn({rows, weight_.size(0) / 2});
        const Tensor wanted = (torch::silu(halves[0]) * halves[1]).narrow(0, 0, rows) + residual;
        const Tensor made =
            layer.forward(x_.narrow(0, 0, rows), {.activation = Nonlinearity::kSilu, .residual = residual});
        EXPECT_TRUE(made.to(torch::kFloat64).allclose(wanted, 5 * numbers.tolerance, 5 * numbers.tolerance))
            << rows << " rows, " << precision_names()[static_cast<size_t>(numbers.precision)];
      }
    }
  });
}

TEST_P(SparseLinearTest, PartsMakeTheSameLayerAgainAndRowsAreTheWeights) {
  const int64_t inputs = weight_.size(1), outputs = weight_.size(0);
  for (const auto& numbers : rounded()) {
    const PackedLinear layer(weight_, bias_, numbers.precision);
    const PackedLinear again(layer.parts(), inputs, outputs, numbers.precision);
    EXPECT_TRUE(again.pattern() == layer.pattern());
    EXPECT_EQ(again.bytes(), layer.bytes());
    EXPECT_TRUE(again.forward(x_).equal(layer.forward(x_)));
    const Tensor some = torch::randint(outputs, {5}, torch::kInt64);
    EXPECT_TRUE(again.rows(some).allclose(numbers.weight.to(torch::kFloat32).index_select(0, some), 1e-5, 1e-6));
    auto parts = layer.parts();
    parts["places"] = parts["places"].narrow(0, 0, 0);
    EXPECT_THROW(PackedLinear(parts, inputs, outputs, numbers.precision), Error);
    for (const Tensor& pattern : {torch::tensor({3, 5}), torch::tensor({0, 0}), Tensor()}) {
      parts = layer.parts();
      parts["pattern"] = pattern;
      if (!pattern.defined()) parts.erase("pattern");  // as in folders of 2:4 weights before there were others
      EXPECT_THROW(PackedLinear(parts, inputs, outputs, numbers.precision), Error);
    }
  }
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const SparsePattern& pattern : kSparsePatterns)  // few inputs that fill no vector, and more than one panel
    for (const auto& [groups, outputs] : {std::pair(33, 6), std::pair(72, 130), std::pair(128, 66)})
      all.push_back({pattern, groups * pattern.of, outputs});
  all.push_back({{2, 4}, 2048, 100});
  all.push_back({{1, 16}, 4096, 64});
  return all;
}

INSTANTIATE_TEST_SUITE_P(Cases, SparseLinearTest, ::testing::ValuesIn(cases()));

TEST(SparseLinearBytesTest, AreThoseOfWhatIsKeptAndItsPlaces) {
  const Tensor dense = torch::randn({128, 1024});
  const auto part_of_dense = [&](const SparsePattern& pattern, Precision precision) {
    const Tensor weight = keep_largest(dense, pattern.kept, pattern.of);
    const auto bytes = [&](const Tensor& of) { return PackedLinear(of, {}, precision).bytes(); };
    const int64_t scales = precision == Precision::kInt8 ? 128 * 8 : 0;  // and offsets
    return static_cast<double>(bytes(weight) - scales) / static_cast<double>(bytes(dense) - scales);
  };
  EXPECT_EQ(part_of_dense({2, 4}, Precision::kFloat32), 17.0 / 32);
  EXPECT_EQ(part_of_dense({2, 4}, Precision::kBfloat16), 9.0 / 16);
  EXPECT_EQ(part_of_dense({2, 4}, Precision::kInt8), 5.0 / 8);
  EXPECT_EQ(part_of_dense({1, 8}, Precision::kFloat32), 9.0 / 64);
  EXPECT_EQ(part_of_dense({1, 8}, Precision::kBfloat16), 5.0 / 32);
  EXPECT_EQ(part_of_dense({1, 8}, Precision::kInt8), 3.0 / 16);
  EXPECT_EQ(part_of_dense({1, 16}, Precision::kBfloat16), 5.0 / 64);
  EXPECT_EQ(part_of_dense({2, 4}, Precision::kInt4), 1) << "stays dense";
}

}  // namespace
}  // namespace tessera
