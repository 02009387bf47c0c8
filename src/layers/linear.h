#pragma once
#include "layers/module.h"

namespace tessera {

/// y = x W^T + b over the last axis. W: out x in.
class Linear : public Module {
 public:
  Linear(int64_t in, int64_t out, bool with_bias = true);
  Tensor forward(const Tensor& x);

  Tensor weight;  ///< out x in
  Tensor bias;    ///< out; undefined without bias
};

/// 2-D convolution over B x C x H x W.
struct ConvolutionOptions {
  int64_t in = 3, out = 64, kernel_height = 3, kernel_width = 3, stride_height = 1, stride_width = 1, padding = 0,
          groups = 1;
  bool bias = true;
};

class Convolution : public Module {
 public:
  explicit Convolution(const ConvolutionOptions& options);
  Tensor forward(const Tensor& x);

  Tensor weight;  ///< out x in / groups x kernel height x kernel width
  Tensor bias;    ///< out; undefined without bias

 private:
  ConvolutionOptions options_;
};

/// A table of vectors, looked up by index.
class Embedding : public Module {
 public:
  /// @param padding_id  a row that learns nothing from look-ups; -1: none
  Embedding(int64_t count, int64_t dim, double deviation = 0.02, int64_t padding_id = -1);
  /// @param ids  any shape, int64 -> the shape x dim
  Tensor forward(const Tensor& ids);

  Tensor weight;  ///< count x dim

 private:
  int64_t padding_id_;
};

}  // namespace tessera
