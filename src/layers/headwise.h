#pragma once
#include "layers/module.h"

namespace tessera {

/// A linear layer whose matrix is block-diagonal: every block of channels by itself.
class HeadwiseLinear : public Module {
 public:
  /// @throws Error where the blocks do not divide the width
  HeadwiseLinear(int64_t dim, int64_t blocks, bool with_bias);
  Tensor forward(const Tensor& x);  // B x L x dim -> B x L x dim

  Tensor weight;  ///< blocks x out x in
  Tensor bias;    ///< dim; undefined without
};

/// A layer norm of each head by itself, with a weight for every channel of all heads.
class HeadNorm : public Module {
 public:
  /// @param zero_centred  the weight is what is added to 1
  HeadNorm(int64_t dim, int64_t heads, double eps, bool zero_centred, bool with_bias);
  Tensor forward(const Tensor& x);  // B x L x dim -> B x L x dim

  Tensor weight;  ///< dim
  Tensor bias;    ///< dim; undefined without

 private:
  int64_t heads_;
  double eps_;
  bool zero_centred_;
};

}  // namespace tessera
