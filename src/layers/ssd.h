#pragma once
#include <torch/types.h>

namespace tessera {

/// What flows into a state space with one decay per head (Dao and Gu, 2024), for each token:
///   h <- exp(dt a) h + dt x b^T,   y = h c
struct SsdInputs {
  torch::Tensor x;     ///< B x L x heads x P
  torch::Tensor dt;    ///< B x L x heads, the step's length; 0: the token changes nothing
  torch::Tensor a;     ///< heads, negative
  torch::Tensor b, c;  ///< B x L x groups x N; a group serves heads / groups consecutive heads
};

struct SsdResult {
  torch::Tensor y;      ///< B x L x heads x P
  torch::Tensor state;  ///< B x heads x P x N, after the last token
};

/// All tokens, in chunks: inside a chunk as masked linear attention, between chunks by the state; where nothing needs a
/// gradient, by fused_selective_scan(). The cost is linear in L, and the result does not depend on `chunk`.
/// @param state  before the first token; undefined: zeros
SsdResult ssd_scan(const SsdInputs& in, const torch::Tensor& state, int64_t chunk);

/// The same for one token (L = 1), by the recurrence.
SsdResult ssd_step(const SsdInputs& in, const torch::Tensor& state);

}  // namespace tessera
