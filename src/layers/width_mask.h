#pragma once
#include "layers/variation.h"

namespace tessera {

/// Layer norm over the channels that a mask keeps: their sum and the sum of their squares, divided by how many they
/// are (Liao et al., 2021). What is not kept must be zero in x; in the result it means nothing.
/// @param x     B x L x C
/// @param mask  B x 1 x C, 1 where a channel is kept, of x's type
Tensor masked_layer_norm(const Tensor& x, const Tensor& mask, const Tensor& weight, const Tensor& bias, double eps);

/// The first `kept` of `channels` channels of each sample.
/// @param kept  B, int64
/// @return B x 1 x channels, float32: 1 where a channel is kept, else 0
Tensor prefix_mask(const Tensor& kept, int64_t channels);

/// What makes a layer of a super-network as narrow as each sample's sub-network: its result, B x L x C, is multiplied
/// by a mask. It has no parameters, and without a mask it changes nothing.
class WidthMask : public Variation {
 public:
  Tensor change(const Tensor& x, const Tensor& y, const LayerWeights& layer) override;
  /// @throws Error: the weights of a narrower layer are a slice, and every sample has its own
  LayerWeights merged(const LayerWeights& layer) override;

  Tensor mask;  ///< B x 1 x C; undefined: all channels are kept
};

/// The same of a Norm, which normalises the kept channels alone.
class MaskedNorm : public WidthMask {
 public:
  explicit MaskedNorm(double eps) : eps_(eps) {}
  Tensor change(const Tensor& x, const Tensor& y, const LayerWeights& layer) override;

 private:
  double eps_;
};

}  // namespace tessera
