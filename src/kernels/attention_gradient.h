#pragma once
#include "kernels/attention.h"

namespace tessera {

/// What a loss gains by each number that attention reads: of the shapes and the type of q, k and v; in memory
/// batch x tokens x heads x width.
struct AttentionGradients {
  torch::Tensor q, k, v;
};

/// The way back of fused_attention(): the weights are computed once more, a block of queries at a time, and never
/// written to memory either (Rabe and Staats, 2021; Dao et al., 2022). The pattern's bias gets nothing. A query whose
/// keys are all hidden teaches them all alike, as it weighs them. The same call gives the same bits with the same
/// number of threads.
/// @param out       what fused_attention() gave
/// @param gradient  of the loss by that, in any type
AttentionGradients fused_attention_gradients(const torch::Tensor& q, const torch::Tensor& k, const torch::Tensor& v,
                                             const torch::Tensor& out, const torch::Tensor& gradient,
                                             const AttentionPattern& pattern);

}  // namespace tessera
