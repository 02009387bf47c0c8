#pragma once
#include "layers/module.h"

namespace tessera {

/// The last inputs of a causal convolution, with which it goes on.
struct ConvolutionState {
  Tensor inputs;  ///< B x channels x kernel, oldest first; zeros before the first token; undefined: no token yet
  Tensor real;    ///< B x kernel, true where an input was a real token
};

/// A convolution along the sequence for every channel by itself, over a token and the kernel - 1 before it.
class CausalConvolution : public Module {
 public:
  CausalConvolution(int64_t channels, int64_t kernel, bool with_bias);
  /// Padding is moved in front of the sequence: a real token sees the real tokens before it, wherever padding stands.
  /// @param x      B x L x channels; zeros where a token is padding, unless the first real ones are to see it
  /// @param mask   B x L, true where a token is real; undefined: all are
  /// @param state  continued; null: the sequence begins here and ends here
  /// @return B x L x channels; of padding, any value
  Tensor forward(const Tensor& x, const Tensor& mask, ConvolutionState* state);

  Tensor weight;  ///< channels x 1 x kernel
  Tensor bias;    ///< channels; undefined without
};

}  // namespace tessera
