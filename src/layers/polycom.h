#pragma once
#include "layers/mixer.h"

namespace tessera {

/// The activations of PolyCom (Zhuo et al., 2024): a learned polynomial of third degree,
/// w0 f(x^3) + w1 f(x^2) + w2 f(x) + b. PolyReLU takes the powers of relu(x); PolyNorm divides each power by its root
/// mean square over a token's channels (eps 1e-6), in float32, as x^3 overflows narrower types. "polyrelu" and
/// "polynorm" among the learned activations; The authors widen the
/// feed-forward, as it is not gated.
class PolynomialActivation : public FeedForward {
 public:
  explicit PolynomialActivation(bool normalised);
  Tensor forward(const Tensor& x) override;
  /// For the data of a block-sparse matrix (a mixture of experts): R C x b x b, of which C = hidden / b consecutive
  /// blocks hold the channels of b tokens. The result has the same layout.
  /// @throws Error where hidden is no multiple of b
  Tensor of_blocks(const Tensor& data, int64_t hidden);

  Tensor weight;  ///< 3, of the cube first
  Tensor bias;    ///< 1

 private:
  bool normalised_;
};

}  // namespace tessera
