#include "kernels/blockwise.h"

#include <ATen/Functions.h>

#include "kernels/instruction_sets.h"

namespace tessera {
namespace {

using testing::with_each_instruction_set;
using torch::Tensor;

TEST(ProductsOfFours, AreThoseOfTheMatricesOfTheBlocks) {
  with_each_instruction_set([] {
    torch::manual_seed(1);
    for (const int64_t blocks : {1, 3, 4, 9}) {
      const Tensor x = torch::randn({2, 5, 4 * blocks}), weight = torch::randn({blocks, 4, 4}),
                   bias = torch::randn({4 * blocks});
      const Tensor expected = torch::einsum("blhi,hoi->blho", {x.view({2, 5, blocks, 4}), weight}).flatten(2);
      EXPECT_TRUE(products_of_fours(x, weight, bias).allclose(expected + bias, 1e-4, 1e-5)) << blocks;
      EXPECT_TRUE(products_of_fours(x, weight, {}).allclose(expected, 1e-4, 1e-5)) << blocks;
    }
  });
  EXPECT_EQ(products_of_fours(torch::empty({0, 8}), torch::ones({2, 4, 4}), {}).numel(), 0);
}

}  // namespace
}  // namespace tessera
