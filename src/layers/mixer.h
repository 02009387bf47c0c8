#pragma once
#include "core/tokens.h"
#include "layers/module.h"

namespace tessera {

/// What exchanges information between tokens: attention, retention, a state space, a convolution.
class Mixer : public Module {
 public:
  /// @return the mixed features, B x L x D; prefix, mask and coordinates of `tokens` are for the mixer to respect
  virtual Tensor forward(const Tokens& tokens) = 0;
};

/// What transforms every token by itself.
class FeedForward : public Module {
 public:
  virtual Tensor forward(const Tensor& x) = 0;  // B x L x D -> B x L x D
};

}  // namespace tessera
