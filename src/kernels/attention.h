#pragma once
#include <torch/types.h>

namespace tessera {

/// Which keys a query sees, and how.
struct AttentionPattern {
  torch::Tensor bias = {};  ///< added to the scores, broadcasts to B x heads x L x S, float; undefined: nothing
  torch::Tensor mask = {};  ///< B x S, bool: true where a key is real; undefined: all are
  bool causal = false;      ///< the queries are the last of the keys, and see none after themselves
  int64_t window = 0;       ///< a query sees the last `window` keys up to itself; 0: all. Where causal alone
  double scale = 0;         ///< of the scores
  double cap = 0;           ///< bounds them: cap tanh(score / cap); 0: does not
};

/// softmax(capped(scale q k^T) + bias) v for inference on a CPU, whose scores are never written to memory but in blocks
/// of queries that stay in a core's cache (Rabe and Staats, 2021). A query whose keys are all hidden sees them all
/// alike. Keys behind a causal query, and before its window, cost nothing.
/// @param q  B x heads x L x d, float32 or bfloat16, any strides
/// @param k  B x groups x S x d; a group serves heads / groups heads that stand one after the other
/// @param v  B x groups x S x dv
/// @return B x heads x L x dv of q's type; in memory B x L x heads x dv
torch::Tensor fused_attention(const torch::Tensor& q, const torch::Tensor& k, const torch::Tensor& v,
                              const AttentionPattern& pattern);

/// Whether fused_attention() may take the place of the plain form: all are of one type that it knows, on a CPU.
bool can_fuse_attention(const torch::Tensor& q, const torch::Tensor& k, const torch::Tensor& v);

}  // namespace tessera
