#pragma once
#include <torch/types.h>

#include <cstdint>

namespace tessera {

/// A batch of token ids.
struct TextBatch {
  torch::Tensor ids;       ///< B x L, int64
  torch::Tensor mask;      ///< B x L, true where a token is real; undefined: all are
  torch::Tensor type_ids;  ///< B x L, int64: which of several texts a token belongs to; undefined: zeros
};

/// @param context  the longest sequence; 0: any length
/// @throws Error unless the ids are B x L, or when a sequence is longer than the context or an id lies outside the
///         vocabulary
void check_ids(const torch::Tensor& ids, int64_t vocabulary, int64_t context);

}  // namespace tessera
