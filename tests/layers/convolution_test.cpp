// What convolutions compute without gradients, by kernels, is what they compute with them.
#include "layers/causal_convolution.h"
#include "layers/linear.h"
#include "layers/promises.h"

namespace tessera {
namespace {

using testing::distance;

TEST(Convolution, ADepthwiseOneIsTheSameWithAndWithoutGradients) {
  at::manual_seed(1);
  for (const int64_t stride : {1, 2})
    for (const int64_t kernel : {3, 5, 7}) {
      Convolution convolution({.in = 20,
                               .out = 20,
                               .kernel_height = kernel,
                               .kernel_width = kernel,
                               .stride_height = stride,
                               .stride_width = stride,
                               .padding = kernel / 2,
                               .groups = 20});
      testing::randomise(convolution);
      const Tensor x = torch::randn({2, 20, 11, 8}), plain = convolution.forward(x).detach();
      const torch::NoGradGuard no_grad;
      EXPECT_LT(distance(convolution.forward(x), plain), 1e-4) << kernel << " " << stride;
    }
}

TEST(Convolution, AMapThatDoesNotFitIsRefusedWithoutGradientsToo) {
  const torch::NoGradGuard no_grad;
  Convolution convolution({.in = 6, .out = 6, .kernel_height = 3, .kernel_width = 3, .groups = 6});
  EXPECT_ANY_THROW(convolution.forward(torch::randn({1, 5, 9, 9})));  // other channels
  EXPECT_ANY_THROW(convolution.forward(torch::randn({1, 6, 2, 9})));  // smaller than the window
}

TEST(CausalConvolution, IsTheSameWithAndWithoutGradients) {
  CausalConvolution convolution(10, 4, true);
  testing::randomise(convolution);
  for (const int64_t length : {1, 2, 9}) {
    const Tensor x = torch::randn({2, length, 10}), plain = convolution.forward(x, {}, nullptr).detach();
    const torch::NoGradGuard no_grad;
    EXPECT_LT(distance(convolution.forward(x, {}, nullptr), plain), 1e-5) << length;
  }
}

}  // namespace
}  // namespace tessera
