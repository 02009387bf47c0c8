#pragma once
#include "layers/batch_norm.h"
#include "layers/linear.h"

namespace tessera {

/// A convolution whose padding keeps the extent (but for the stride), batch norm and, unless told otherwise, a
/// rectifier.
class ConvolutionNorm : public Module {
 public:
  /// @param first_weight  see BatchNorm
  ConvolutionNorm(int64_t in, int64_t out, int64_t kernel, int64_t stride = 1, bool rectify = true,
                  double first_weight = 1, bool bias = false);
  Tensor forward(const Tensor& x);

 private:
  bool rectify_;
  std::shared_ptr<Convolution> convolution_;
  std::shared_ptr<BatchNorm> norm_;
};

}  // namespace tessera
