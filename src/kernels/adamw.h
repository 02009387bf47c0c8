#pragma once
#include <torch/types.h>

namespace tessera {

/// The numbers of one step of AdamW (Loshchilov and Hutter, 2019).
struct AdamWStep {
  float rate = 0, weight_decay = 0;  ///< what is kept of a weight is 1 - rate weight_decay
  float beta1 = 0.9F, beta2 = 0.999F, eps = 1e-8F;
  float correction1 = 1, correction2 = 1;  ///< 1 - beta^steps: what the moments lack after so few steps
};

/// One pass over memory: the moments take the gradient in, and the parameter moves. Contiguous float32 on a CPU, all of
/// one size.
void adamw_step(torch::Tensor& parameter, const torch::Tensor& gradient, torch::Tensor& mean, torch::Tensor& square,
                const AdamWStep& step);

}  // namespace tessera
