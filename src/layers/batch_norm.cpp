#include "layers/batch_norm.h"

namespace tessera {

BatchNorm::BatchNorm(int64_t channels, double first_weight, double eps, double momentum)
    : eps_(eps), momentum_(momentum) {
  weight_ = register_parameter("weight", torch::full({channels}, first_weight));
  bias_ = weight("bias", {channels}, 0);
  running_mean_ = register_buffer("running_mean", torch::zeros({channels}));
  running_var_ = register_buffer("running_var", torch::ones({channels}));
}

Tensor BatchNorm::forward(const Tensor& x) {
  return tap(*this,
             torch::batch_norm(x, weight_, bias_, running_mean_, running_var_, is_training(), momentum_, eps_, false));
}

}  // namespace tessera
