#pragma once
#include "kernels/attention.h"
#include "layers/module.h"

namespace tessera {

/// fused_attention() with a gradient: the scores are computed once more on the way back, a block of queries at a time
/// (Rabe and Staats, 2021; Dao et al., 2022), so that the memory of training grows with the length and not with its
/// square. Neither way holds more scores than a block's. No gradient reaches the pattern's bias. A query whose keys are
/// all hidden weighs them alike, and teaches them as in the plain form.
Tensor attention_with_gradient(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionPattern& pattern);

}  // namespace tessera
