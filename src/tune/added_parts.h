#pragma once
#include "layers/activation.h"
#include "layers/variation.h"

namespace tessera {

/// (IA)3 (Liu et al., 2022): learned factors, at first one, of a layer's outputs or of its inputs.
class Scale : public Variation {
 public:
  /// @param size    how many outputs, or inputs
  /// @param inputs  true for the second layer of a feed-forward, whose inputs are scaled
  Scale(int64_t size, bool inputs);
  Tensor change(const Tensor& x, const Tensor& y, const LayerWeights& layer) override;
  LayerWeights merged(const LayerWeights& layer) override;

  Tensor factors;  ///< out x 1, or 1 x in

 private:
  bool inputs_;
};

/// An adapter (Houlsby et al., 2019) behind a layer: y + up(act(down(y))). It begins with up = 0.
class Bottleneck : public Variation {
 public:
  Bottleneck(int64_t dim, int64_t hidden, const std::string& activation_name);
  Tensor change(const Tensor& x, const Tensor& y, const LayerWeights& layer) override;
  /// @throws Error: what is not linear has no place in a weight
  LayerWeights merged(const LayerWeights& layer) override;

  Tensor down_weight, down_bias, up_weight, up_bias;  ///< hidden x dim, hidden, dim x hidden, dim

 private:
  Activation activation_;
};

/// A layer's parameters trained as a whole, as a copy ("modules_to_save").
class Replacement : public Variation {
 public:
  explicit Replacement(const LayerWeights& layer);
  /// A Linear's result for float inputs, an Embedding's for ids.
  Tensor change(const Tensor& x, const Tensor& y, const LayerWeights& layer) override;
  LayerWeights merged(const LayerWeights&) override { return {weight, bias}; }

  Tensor weight, bias;  ///< as the layer's
};

}  // namespace tessera
