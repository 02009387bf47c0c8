#pragma once
#include <torch/types.h>

namespace tessera {

/// softmax(scale q kᵀ + bias) v, the products soft-capped where asked, for inference on a CPU: one head of one sequence
/// at a time on each thread, so that the scores stay in its cache, no operand is copied into another layout, and the
/// result lies as the projection reads it.
/// @param q     B x heads x Lq x d, any strides
/// @param k     B x groups x Lk x d; a group serves heads / groups heads that stand one after the other
/// @param v     B x groups x Lk x dv
/// @param bias  added to the scores, broadcast to B x heads x Lq x Lk; undefined: none
/// @param cap   bounds the scaled products: cap tanh(x / cap); 0: does not
/// @return B x heads x Lq x dv; in memory B x Lq x heads x dv
torch::Tensor attention_by_head(const torch::Tensor& q, const torch::Tensor& k, const torch::Tensor& v,
                                const torch::Tensor& bias, double scale, double cap = 0);

/// Whether attention_by_head() may take the place of the plain form: there are queries enough, nothing needs a
/// gradient, and all is float32 on a CPU.
bool can_attend_by_head(const torch::Tensor& q, const torch::Tensor& k, const torch::Tensor& v);

}  // namespace tessera
