#include "layers/convolutional_mlp.h"

#include "layers/block.h"

namespace tessera {

ConvolutionalMlp::ConvolutionalMlp(int64_t dim, int64_t hidden, const std::string& activation_name, int64_t kernel)
    : up_(add<Linear>("up", dim, hidden)),
      down_(add<Linear>("down", hidden, dim)),
      activation_(activation(activation_name)) {
  convolution_ = add<Convolution>("convolution", ConvolutionOptions{.in = hidden,
                                                                    .out = hidden,
                                                                    .kernel_height = kernel,
                                                                    .kernel_width = kernel,
                                                                    .padding = kernel / 2,
                                                                    .groups = hidden});
}

Tensor ConvolutionalMlp::forward(const Tokens& tokens) {
  const Tokens hidden = tokens.with(activation_(up_->forward(tokens.x)));
  return tap(*this, down_->forward(add_convolved(hidden, *convolution_).x));
}

}  // namespace tessera
