#include "kernels/matrix_product.h"

#include <ATen/Functions.h>

#include "kernels/column_sums.h"
#include "kernels/instruction_sets.h"

namespace tessera {
namespace {

using torch::Tensor;

Tensor narrow_numbers(std::vector<int64_t> shape) { return torch::randn(shape).to(torch::kBFloat16); }
Tensor wide(const Tensor& x) { return x.to(torch::kFloat32); }

TEST(MatrixProduct, IsThatOfWideNumbersInAnyLayout) {
  if (!has_matrix_product()) GTEST_SKIP() << "no products of bfloat16 here";
  torch::manual_seed(7);
  const Tensor a = narrow_numbers({50, 34}), b = narrow_numbers({34, 70}), bias = torch::randn({70}),
               added = torch::randn({50, 70});
  const Tensor wanted = wide(a).matmul(wide(b));
  for (const Tensor& left : {a, a.t().contiguous().t(), narrow_numbers({50, 40}).narrow(1, 3, 34).copy_(a)})
    for (const Tensor& right : {b, b.t().contiguous().t()}) {
      EXPECT_TRUE(matrix_product(left, right, torch::kFloat32).allclose(wanted, 1e-5, 1e-4));
      EXPECT_TRUE(
          matrix_product(left, right, torch::kFloat32, bias, added).allclose(wanted + bias + added, 1e-5, 1e-4));
      EXPECT_TRUE(wide(matrix_product(left, right, torch::kBFloat16, bias)).allclose(wanted + bias, 8e-3, 1e-3));
    }
}

TEST(MatrixProduct, OfNothingIsEmpty) {
  EXPECT_EQ(matrix_product(narrow_numbers({0, 4}), narrow_numbers({4, 3}), torch::kFloat32).sizes(),
            (std::vector<int64_t>{0, 3}));
}

TEST(ColumnSums, AreThoseOfLibTorch) {
  testing::with_each_instruction_set([] {
    torch::manual_seed(8);
    for (const int64_t rows : {0, 1, 63, 500})
      for (const int64_t columns : {1, 30, 384}) {
        const Tensor x = torch::randn({rows, columns}), narrow = x.to(torch::kBFloat16);
        EXPECT_TRUE(column_sums(x).allclose(x.sum(0), 1e-4, 1e-4));
        EXPECT_TRUE(column_sums(narrow).allclose(wide(narrow).sum(0), 1e-4, 1e-4));
        Tensor sums;
        EXPECT_TRUE(narrowed(x, &sums).equal(narrow));
        EXPECT_TRUE(sums.equal(column_sums(x)));
        EXPECT_TRUE(narrowed(x).equal(narrow));
        EXPECT_TRUE(narrowed(narrow).is_same(narrow));
      }
  });
}

}  // namespace
}  // namespace tessera
