#pragma once
#include <torch/types.h>

namespace tessera {

/// A batch of token ids.
struct TextBatch {
  torch::Tensor ids;       ///< B x L, int64
  torch::Tensor mask;      ///< B x L, true where a token is real; undefined: all are
  torch::Tensor type_ids;  ///< B x L, int64: which of several texts a token belongs to; undefined: zeros
};

}  // namespace tessera
