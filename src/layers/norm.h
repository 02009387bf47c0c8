#pragma once
#include "layers/module.h"

namespace tessera {

/// Normalisation of the last axis: "layer" (Ba et al., 2016: mean and variance, weight and bias) or "rms" (Zhang and
/// Sennrich, 2019: root mean square, weight alone).
class Norm : public Module {
 public:
  Norm(int64_t dim, double eps, const std::string& kind = "layer");
  Tensor forward(const Tensor& x);

  Tensor weight;  ///< dim
  Tensor bias;    ///< dim; undefined for "rms"

 private:
  double eps_;
};

}  // namespace tessera
