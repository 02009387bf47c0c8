#pragma once
#include "layers/module.h"
#include "layers/preparable.h"

namespace tessera {

/// Normalisation of the last axis: "layer" (Ba et al., 2016: mean and variance, weight and bias) or "rms" (Zhang and
/// Sennrich, 2019: root mean square, weight alone). Of "zero-centred-rms" and "zero-centred-layer" the weight is what
/// is added to 1 (Gemma; xLSTM); "zero-centred-scale" is the latter without bias.
class Norm : public Module, public Preparable {
 public:
  Norm(int64_t dim, double eps, const std::string& kind = "layer");
  /// @param type  of the result of a norm that is prepared or learns (bfloat16 alone); others give the type of x
  Tensor forward(const Tensor& x, torch::ScalarType type = torch::kFloat32);
  std::string prepare(Precision precision) override;

  Tensor weight;  ///< dim
  Tensor bias;    ///< dim; undefined where it has none

 private:
  double eps_;
  bool zero_centred_, rms_, prepared_ = false;
};

}  // namespace tessera
