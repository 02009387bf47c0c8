#pragma once
#include "core/tokens.h"

namespace tessera {

/// The real tokens of each row moved to its front, in their order: for mixers that count places and so must not see
/// padding, wherever it stands.
class Packing {
 public:
  /// @param tokens  their mask says which are real; undefined: all
  explicit Packing(const Tokens& tokens);

  /// x with zeros and ids with -1 where a row has no more tokens; the mask says where that is.
  Tokens pack(const Tokens& tokens) const;
  /// B x L x D, as pack() ordered it, back to where the tokens stand.
  torch::Tensor unpack(const torch::Tensor& x) const;

 private:
  torch::Tensor real_, order_;  // B x L; undefined where nothing has to move
};

}  // namespace tessera
