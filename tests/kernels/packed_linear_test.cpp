#include "kernels/packed_linear.h"

#include <ATen/Functions.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "kernels/cpu/panel_product.h"
#include "kernels/instruction_sets.h"
#include "kernels/panels.h"
#include "kernels/quantised.h"

namespace tessera {
namespace {

using testing::with_each_instruction_set;
using torch::Tensor;

/// The same by LibTorch's own parts, with the weights that the layer computes with.
Tensor plain(const Tensor& x, const Tensor& weight, const Tensor& bias, Nonlinearity activation, bool gated) {
  Tensor y = torch::linear(x.to(torch::kFloat64), weight.to(torch::kFloat64),
                           bias.defined() ? bias.to(torch::kFloat64) : bias);
  const auto act = [&](const Tensor& z) {
    switch (activation) {
      case Nonlinearity::kGelu:
        return torch::gelu(z);
      case Nonlinearity::kGeluTanh:
        return torch::gelu(z, "tanh");
      case Nonlinearity::kQuickGelu:
        return z * torch::sigmoid(1.702 * z);
      case Nonlinearity::kRelu:
        return torch::relu(z);
      case Nonlinearity::kSilu:
        return torch::silu(z);
      case Nonlinearity::kTanh:
        return torch::tanh(z);
      case Nonlinearity::kSigmoid:
        return torch::sigmoid(z);
      case Nonlinearity::kIdentity:
        break;
    }
    return z;
  };
  if (!gated) return act(y);
  const auto halves = y.chunk(2, -1);
  return act(halves[0]) * halves[1];
}

double cosine(const Tensor& a, const Tensor& b) {
  const Tensor x = a.to(torch::kFloat64).flatten(), y = b.to(torch::kFloat64).flatten();
  return (x.dot(y) / (x.norm() * y.norm()).clamp_min(1e-30)).item<double>();
}

struct Shape {
  int64_t rows, inputs, outputs;
};

/// How the tests' names show it.
void PrintTo(const Shape& shape, std::ostream* out) {
  *out << shape.rows << " rows of " << shape.inputs << " to " << shape.outputs;
}

class PackedLinearTest : public ::testing::TestWithParam<Shape> {
 protected:
  void SetUp() override {
    torch::manual_seed(5);
    const auto [rows, inputs, outputs] = GetParam();
    x_ = torch::randn({rows, inputs});
    weight_ = torch::randn({outputs, inputs}) / std::sqrt(static_cast<double>(inputs));
    bias_ = torch::randn({outputs});
  }
  Tensor x_, weight_, bias_;
};

TEST_P(PackedLinearTest, Float32IsThePlainLayer) {
  with_each_instruction_set([&] {
    const PackedLinear layer(weight_, bias_, Precision::kFloat32);
    const Tensor wanted = plain(x_, weight_, bias_, Nonlinearity::kIdentity, false);
    EXPECT_TRUE(layer.forward(x_).to(torch::kFloat64).allclose(wanted, 1e-5, 1e-5));
  });
}

TEST_P(PackedLinearTest, Bfloat16IsTheProductOfRoundedNumbers) {
  with_each_instruction_set([&] {
    const PackedLinear layer(weight_, {}, Precision::kBfloat16);
    const Tensor wanted =
        plain(x_.to(torch::kBFloat16), weight_.to(torch::kBFloat16), {}, Nonlinearity::kIdentity, false);
    EXPECT_TRUE(layer.forward(x_).to(torch::kFloat64).allclose(wanted, 1e-4, 1e-4));
    EXPECT_TRUE(layer.forward(x_.to(torch::kBFloat16)).equal(layer.forward(x_)));
  });
}

TEST_P(PackedLinearTest, Int8RoundsInputsPerRowAndWeightsPerOutput) {
  with_each_instruction_set([&] {
    const PackedLinear layer(weight_, bias_, Precision::kInt8);
    const Tensor inputs = dequantised(to_int8(x_)), weights = dequantised(to_int8(weight_));
    const Tensor wanted = plain(inputs, weights, bias_, Nonlinearity::kIdentity, false);
    EXPECT_TRUE(layer.forward(x_).to(torch::kFloat64).allclose(wanted, 1e-3, 1e-3));
  });
}

TEST_P(PackedLinearTest, Int8WeightsAloneAreMultipliedInBfloat16) {
  with_each_instruction_set([&] {
    const PackedLinear layer(weight_, bias_, Precision::kInt8Weights);
    const Tensor wanted =
        plain(x_.to(torch::kBFloat16), dequantised(to_int8(weight_)), bias_, Nonlinearity::kIdentity, false);
    EXPECT_TRUE(layer.forward(x_).to(torch::kFloat64).allclose(wanted, 1e-3, 1e-3));
  });
}

TEST_P(PackedLinearTest, Int4IsTheProductWithTheRoundedWeights) {
  with_each_instruction_set([&] {
    for (const auto& [precision, group] : {std::pair(Precision::kInt4, 32), std::pair(Precision::kInt4Wide, 128)}) {
      const PackedLinear layer(weight_, bias_, precision);
      const Tensor weights = dequantised(to_int4(weight_, group)).narrow(1, 0, weight_.size(1));
      const Tensor wanted = plain(x_, weights, bias_, Nonlinearity::kIdentity, false);
      EXPECT_GT(cosine(layer.forward(x_), wanted), 0.9995) << group;
      EXPECT_GT(cosine(wanted, plain(x_, weight_, bias_, Nonlinearity::kIdentity, false)), 0.98) << group;
    }
  });
}

TEST_P(PackedLinearTest, FewRowsOfInt4AreRoundedInGroups) {
  if (!cpu::has_products_with_kept(cpu::ProductKind::kInt8)) GTEST_SKIP() << "the processor has no such products";
  const int64_t rows = std::min<int64_t>(GetParam().rows, 21), inputs = GetParam().inputs;
  const Tensor x = x_.narrow(0, 0, rows);
  for (const auto& [precision, group] : {std::pair(Precision::kInt4, 32), std::pair(Precision::kInt4Wide, 128)}) {
    const int64_t filled = (inputs + group - 1) / group * group;
    const Tensor groups = torch::constant_pad_nd(x, {0, filled - inputs}).view({-1, group});
    const Tensor rounded = dequantised(to_int8(groups)).view({rows, filled});
    const Tensor wanted = plain(rounded, dequantised(to_int4(weight_, group)), bias_, Nonlinearity::kIdentity, false);
    const Tensor made = PackedLinear(weight_, bias_, precision).forward(x);
    EXPECT_TRUE(made.to(torch::kFloat64).allclose(wanted, 1e-4, 1e-4)) << group;
  }
}

TEST_P(PackedLinearTest, WhatFollowsIsDoneInOnePass) {
  with_each_instruction_set([&] {
    const Tensor residual = torch::randn({x_.size(0), weight_.size(0)});
    for (const auto kind : {Nonlinearity::kGelu, Nonlinearity::kGeluTanh, Nonlinearity::kQuickGelu, Nonlinearity::kRelu,
                            Nonlinearity::kSilu, Nonlinearity::kTanh, Nonlinearity::kSigmoid}) {
      const PackedLinear layer(weight_, bias_, Precision::kFloat32);
      const Tensor wanted = plain(x_, weight_, bias_, kind, false) + residual;
      const Tensor made = layer.forward(x_, {.activation = kind, .residual = residual});
      EXPECT_TRUE(made.to(torch::kFloat64).allclose(wanted, 1e-5, 1e-5)) << static_cast<int>(kind);
      const Tensor narrow = layer.forward(x_, {.activation = kind, .residual = residual, .type = torch::kBFloat16});
      EXPECT_TRUE(narrow.equal(made.to(torch::kBFloat16))) << static_cast<int>(kind);
    }
  });
}

TEST_P(PackedLinearTest, GatesMultiplyValues) {
  if (weight_.size(0) % 2 != 0) GTEST_SKIP() << "no halves";
  with_each_instruction_set([&] {
    for (const auto precision : {Precision::kFloat32, Precision::kBfloat16, Precision::kInt8, Precision::kInt4}) {
      const PackedLinear layer(weight_, bias_, precision, true);
      const Tensor wanted = plain(x_, weight_, bias_, Nonlinearity::kSilu, true);
      const Tensor made = layer.forward(x_, {.activation = Nonlinearity::kSilu});
      ASSERT_EQ(made.sizes(), wanted.sizes());
      const double least = precision == Precision::kInt4 ? 0.97 : precision == Precision::kFloat32 ? 0.9999999 : 0.999;
      EXPECT_GT(cosine(made, wanted), least) << precision_names()[static_cast<size_t>(precision)];
    }
  });
}

TEST_P(PackedLinearTest, RowsAreTheWeights) {
  const Tensor some = torch::randint(weight_.size(0), {3}, torch::kInt64);
  const auto rows = [&](Precision precision) { return PackedLinear(weight_, bias_, precision).rows(some); };
  EXPECT_TRUE(rows(Precision::kFloat32).equal(weight_.index_select(0, some)));
  EXPECT_TRUE(rows(Precision::kBfloat16).equal(weight_.to(torch::kBFloat16).to(torch::kFloat32).index_select(0, some)));
  EXPECT_TRUE(rows(Precision::kInt8).allclose(dequantised(to_int8(weight_)).index_select(0, some)));
  const Tensor int4 = dequantised(to_int4(weight_, 32)).narrow(1, 0, weight_.size(1)).index_select(0, some);
  EXPECT_TRUE(rows(Precision::kInt4).allclose(int4));
}

INSTANTIATE_TEST_SUITE_P(Shapes, PackedLinearTest,
                         ::testing::Values(Shape{1, 1, 1}, Shape{1, 64, 64}, Shape{3, 7, 5}, Shape{1, 2048, 100},
                                           Shape{8, 130, 192}, Shape{9, 131, 67}, Shape{197, 192, 576},
                                           Shape{259, 96, 130}, Shape{7, 1030, 70}, Shape{2, 257, 254},
                                           Shape{128, 32, 128}));

TEST(PackedLinearInputTest, AnyLeadingShapeAndNoRowsAtAll) {
  const Tensor weight = torch::randn({6, 4}), x = torch::randn({2, 3, 4});
  const PackedLinear layer(weight, {}, Precision::kFloat32);
  EXPECT_TRUE(layer.forward(x).allclose(torch::linear(x, weight), 1e-5, 1e-6));
  EXPECT_EQ(layer.forward(torch::empty({0, 4})).sizes(), torch::IntArrayRef({0, 6}));
  EXPECT_TRUE(layer.forward(x.transpose(0, 1)).allclose(torch::linear(x, weight).transpose(0, 1), 1e-5, 1e-6));
  EXPECT_THROW(layer.forward(torch::randn({2, 5})), Error);
}

TEST(PackedLinearInputTest, ZerosAndLargeNumbersStayFinite) {
  const Tensor weight = torch::randn({70, 100});
  for (const auto precision : {Precision::kFloat32, Precision::kBfloat16, Precision::kInt8, Precision::kInt4}) {
    const PackedLinear layer(weight, {}, precision);
    for (const int64_t rows : {1, 20}) {
      EXPECT_EQ(layer.forward(torch::zeros({rows, 100})).abs().max().item<float>(), 0);
      EXPECT_TRUE(layer.forward(torch::full({rows, 100}, 1e30)).isfinite().all().item<bool>());
    }
  }
}

TEST(PanelsTest, HaveTheInputsOfOneInstructionSideBySideAndZerosAroundTheWeight) {
  for (const auto type : {torch::kFloat32, torch::kBFloat16, torch::kInt8}) {
    const Tensor weight = torch::randint(-100, 100, {130, 37}).to(type), panels = to_panels(weight);
    const int64_t filled = padded_inputs(37, type);
    EXPECT_EQ(panels.sizes(), torch::IntArrayRef({3, filled / inputs_together(type), 64, inputs_together(type)}));
    const Tensor rows = panels.permute({0, 2, 1, 3}).reshape({192, filled});
    EXPECT_TRUE(rows.equal(torch::constant_pad_nd(weight, {0, filled - 37, 0, 62})));
  }
}

TEST(QuantisedTest, NoWeightIsMovedByMoreThanHalfAStep) {
  const Tensor weight = torch::randn({20, 64});
  const Quantised eight = to_int8(weight);
  EXPECT_TRUE(((dequantised(eight) - weight).abs() <= eight.scales / 2 * 1.0001).all().item<bool>());
  const Quantised four = to_int4(weight, 32);
  const Tensor moved = (dequantised(four) - weight).abs().view({20, 2, 32});
  EXPECT_TRUE((moved <= four.scales.abs().unsqueeze(2) * 1.0001).all().item<bool>());  // 7 stands for up to 8
  EXPECT_EQ(four.numbers.min().item<int8_t>(), -8);
}

}  // namespace
}  // namespace tessera
