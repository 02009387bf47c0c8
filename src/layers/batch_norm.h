#pragma once
#include "layers/module.h"

namespace tessera {

/// Batch normalisation of the channels of B x C x H x W (Ioffe and Szegedy, 2015). Running statistics are buffers.
class BatchNorm : public Module {
 public:
  /// @param first_weight  first value of the scale; 0 makes a residual branch begin as nothing (Goyal et al., 2017)
  explicit BatchNorm(int64_t channels, double first_weight = 1, double eps = 1e-5, double momentum = 0.1);
  Tensor forward(const Tensor& x);

 private:
  double eps_, momentum_;
  Tensor weight_, bias_, running_mean_, running_var_;  // channels
};

}  // namespace tessera
