#include "layers/convolution_norm.h"

namespace tessera {

ConvolutionNorm::ConvolutionNorm(int64_t in, int64_t out, int64_t kernel, int64_t stride, bool rectify,
                                 double first_weight, bool bias)
    : rectify_(rectify) {
  convolution_ = add<Convolution>("convolution", ConvolutionOptions{.in = in,
                                                                    .out = out,
                                                                    .kernel_height = kernel,
                                                                    .kernel_width = kernel,
                                                                    .stride_height = stride,
                                                                    .stride_width = stride,
                                                                    .padding = kernel / 2,
                                                                    .bias = bias});
  norm_ = add<BatchNorm>("norm", out, first_weight);
}

Tensor ConvolutionNorm::forward(const Tensor& x) {
  const Tensor y = norm_->forward(convolution_->forward(x));
  return rectify_ ? torch::relu(y) : y;
}

}  // namespace tessera
