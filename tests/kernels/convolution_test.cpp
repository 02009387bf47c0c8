#include "kernels/convolution.h"

#include <ATen/Functions.h>

#include "kernels/instruction_sets.h"

namespace tessera {
namespace {

using testing::with_each_instruction_set;
using torch::Tensor;

struct Window {
  int64_t batch, channels, height, width, kernel_height, kernel_width, stride, padding;
};

void expect_as_libtorch(const Window& w, bool channels_last, bool with_bias) {
  Tensor x = torch::randn({w.batch, w.channels, w.height, w.width});
  if (channels_last) x = x.permute({0, 2, 3, 1}).contiguous().permute({0, 3, 1, 2});
  const Tensor weight = torch::randn({w.channels, 1, w.kernel_height, w.kernel_width});
  const Tensor bias = with_bias ? torch::randn({w.channels}) : Tensor();
  const Tensor expected = torch::conv2d(x, weight, bias, w.stride, w.padding, 1, w.channels);
  const Tensor y = depthwise_convolution(x, weight, bias,
                                         {.stride_height = w.stride,
                                          .stride_width = w.stride,
                                          .top = w.padding,
                                          .left = w.padding,
                                          .rows = expected.size(2),
                                          .columns = expected.size(3)});
  ASSERT_EQ(y.sizes(), expected.sizes());
  EXPECT_TRUE(y.allclose(expected, 1e-4, 1e-4))
      << w.channels << " channels of " << w.height << " x " << w.width << ", window " << w.kernel_height << " x "
      << w.kernel_width << ", stride " << w.stride << ", padding " << w.padding;
  EXPECT_TRUE(y.permute({0, 2, 3, 1}).is_contiguous());
}

TEST(DepthwiseConvolution, IsThatOfLibTorchForAnyShape) {
  with_each_instruction_set([] {
    torch::manual_seed(1);
    for (const Window& window : std::vector<Window>{{2, 16, 7, 7, 3, 3, 1, 1},
                                                    {1, 33, 14, 9, 5, 5, 1, 2},
                                                    {1, 8, 28, 17, 7, 7, 1, 3},
                                                    {2, 1, 1, 1, 3, 3, 1, 1},
                                                    {1, 5, 1, 40, 1, 4, 1, 0},
                                                    {1, 20, 9, 12, 3, 3, 2, 1},
                                                    {1, 40, 13, 13, 2, 6, 3, 2},
                                                    {1, 3, 4, 4, 4, 4, 1, 0},
                                                    {1, 17, 3, 8, 9, 9, 1, 4}})
      for (const bool channels_last : {false, true}) expect_as_libtorch(window, channels_last, channels_last);
  });
}

TEST(DepthwiseConvolution, AnEmptyBatchGivesAnEmptyResult) {
  const Tensor y = depthwise_convolution(torch::empty({0, 4, 3, 3}), torch::ones({4, 1, 3, 3}), {},
                                         {.top = 1, .left = 1, .rows = 3, .columns = 3});
  EXPECT_EQ(y.sizes(), at::IntArrayRef({0, 4, 3, 3}));
}

TEST(DepthwiseConvolution, AWindowMayBeginBehindTheFirstColumn) {
  const Tensor x = torch::randn({1, 6, 1, 9}), weight = torch::randn({6, 1, 1, 3});
  const Tensor all = depthwise_convolution(x, weight, {}, {.rows = 1, .columns = 7});
  const Tensor later = depthwise_convolution(x, weight, {}, {.left = -2, .rows = 1, .columns = 5});
  EXPECT_TRUE(later.allclose(all.narrow(3, 2, 5), 1e-5, 1e-6));
}

TEST(CausalConvolution, IsThePlainSumOverWhatCameBefore) {
  with_each_instruction_set([] {
    torch::manual_seed(2);
    for (const int64_t length : {1, 7, 8, 30, 67})
      for (const int64_t count : {1, 4, 8, 67, 90})
        for (const int64_t channels : {1, 16, 37}) {
          const Tensor x = torch::randn({2, length, channels}), taps = torch::randn({channels, count});
          const Tensor before = torch::constant_pad_nd(x.transpose(1, 2), {count - 1, 0});  // B x C x K - 1 + L
          const Tensor expected = torch::conv1d(before, taps.flip(1).unsqueeze(1), {}, at::IntArrayRef{1},
                                                at::IntArrayRef{0}, at::IntArrayRef{1}, channels)
                                      .transpose(1, 2);
          EXPECT_TRUE(causal_convolution(x, taps).allclose(expected, 1e-4, 1e-4))
              << length << " tokens, " << count << " taps, " << channels << " channels";
        }
  });
  EXPECT_EQ(causal_convolution(torch::empty({0, 5, 3}), torch::ones({3, 2})).numel(), 0);
  EXPECT_EQ(causal_convolution(torch::empty({2, 0, 3}), torch::ones({3, 2})).numel(), 0);
}

}  // namespace
}  // namespace tessera
