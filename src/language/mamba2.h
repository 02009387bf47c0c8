#pragma once
#include "language/causal_stack.h"
#include "layers/mamba2.h"

namespace tessera {

/// Mamba-2 as a language model (Dao and Gu, 2024): blocks of norm, mixer and residual, without feed-forward.
struct Mamba2Options {
  int64_t vocabulary = 50288, dim = 768, depth = 24, heads = 24, head_dim = 64;
  int64_t state = 128, groups = 1, kernel = 4, chunk = 256;
  bool bias = false, convolution_bias = true, tied = true;
  double shortest_step = 0, longest_step = 1e30;
  std::string activation = "silu";
  double eps = 1e-5;
  bool padding_bias = false;  ///< see Mamba2MixerOptions
};
TESSERA_OPTIONS(Mamba2Options, vocabulary, dim, depth, heads, head_dim, state, groups, kernel, chunk, bias,
                convolution_bias, tied, shortest_step, longest_step, activation, eps, padding_bias)

class Mamba2 : public CausalStack {
 public:
  explicit Mamba2(const Mamba2Options& options);
};

}  // namespace tessera
