#pragma once
#include <torch/types.h>

#include <cstdint>
#include <vector>

namespace tessera {

/// The extent of a token grid along each of its axes: {height, width}, {frames, height, width}, or empty for no grid.
using Grid = std::vector<int64_t>;

/// A batch of token sequences on its way through a model. It carries all that a later part needs to know about the
/// sequence, so that no part reaches back to an earlier one.
struct Tokens {
  torch::Tensor x;     ///< features, B x L x D
  torch::Tensor mask;  ///< B x L, true where a token is real; undefined: all are
  torch::Tensor
      at;  ///< B x L x A, coordinates on A axes (1 text, 2 image, 3 video or volume); undefined: implied by grid
  torch::Tensor mass;    ///< B x L, how many original tokens each stands for; undefined: one each
  torch::Tensor source;  ///< B x L0, for every original token the index of the token that now holds it, -1 where it was
                         ///< dropped; undefined: identity
  torch::Tensor span;    ///< B x L, int64: tokens of one number attend to each other in both directions where attention
                         ///< is causal (a prompt before its answer); -1: none; undefined: no token has one
  torch::Tensor ids;     ///< B x L, int64, of the words that the tokens stand for, -1 for what is no word; undefined:
                         ///< not known
  Grid grid;             ///< extent per axis when the tokens between prefix and suffix fill a grid, else empty
  int64_t prefix = 0;    ///< tokens before the grid: class token, registers, prompts
  int64_t suffix = 0;    ///< tokens after it (a class token may stand last)

  /// The same sequence with other features.
  Tokens with(torch::Tensor features) const {
    Tokens other = *this;
    other.x = std::move(features);
    return other;
  }

  /// The features without prefix and suffix, B x (L - prefix - suffix) x D.
  torch::Tensor body() const { return x.narrow(1, prefix, x.size(1) - prefix - suffix); }
};

}  // namespace tessera
