#pragma once
#include <torch/types.h>

namespace tessera {

/// Where the window of a depth-wise convolution goes: what lies outside of the map counts as 0.
struct WindowPath {
  int64_t stride_height = 1, stride_width = 1;
  int64_t top = 0, left = 0;      ///< how far the first window lies outside of the map
  int64_t rows = 0, columns = 0;  ///< of the result
};

/// A convolution of every channel by itself, for inference on a CPU, over maps whose channels lie side by side in
/// memory (others are copied first).
/// @param x       B x C x H x W, float32
/// @param weight  C x 1 x kernel height x kernel width, float32
/// @param bias    C, float32; undefined: zeros
/// @return B x C x rows x columns; in memory B x rows x columns x C
torch::Tensor depthwise_convolution(const torch::Tensor& x, const torch::Tensor& weight, const torch::Tensor& bias,
                                    const WindowPath& path);

/// The causal convolution of every channel by itself with taps that may be as many as the tokens, for inference on a
/// CPU: y_t = sum over s of taps_s x_{t - s}. It takes L x K steps; from about 2048 tokens on Fourier transforms need
/// fewer.
/// @param x     B x L x C, float32
/// @param taps  C x K, float32, from the newest input to the oldest
/// @return B x L x C
torch::Tensor causal_convolution(const torch::Tensor& x, const torch::Tensor& taps);

}  // namespace tessera
