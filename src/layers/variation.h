#pragma once
#include "layers/module.h"

namespace tessera {

/// The parameters of a layer, or of those of its outputs that a variation changes.
struct LayerWeights {
  Tensor weight;  ///< out x in (x kernel)
  Tensor bias;    ///< out; undefined without bias
};

/// A learned change of a Linear, an Embedding or a Convolution whose own parameters stay as they are: a low-rank
/// branch, factors, a bottleneck. It is a child of the layer that it varies, so that it moves, trains and is found with
/// it, and it may concern a range of the outputs alone: the queries of a fused projection.
class Variation : public Module {
 public:
  /// What the layer gives with the change.
  /// @param x      what the layer was given
  /// @param y      what it gave, the outputs of `range` alone
  /// @param layer  the parameters behind y
  virtual Tensor change(const Tensor& x, const Tensor& y, const LayerWeights& layer) = 0;
  /// Parameters with which the layer alone gives the same. @throws Error where there are none
  virtual LayerWeights merged(const LayerWeights& layer) = 0;

  int64_t begin = 0, rows = 0;  ///< the outputs that it changes; rows 0: all
  bool active = true;

  /// The part of the parameters that it changes, as views.
  LayerWeights part(const LayerWeights& layer) const;
};

/// Puts a variation on a layer, behind those that are there. The layer's type must know them (see vary()).
void add_variation(torch::nn::Module& layer, const std::string& name, std::shared_ptr<Variation> variation);
void remove_variation(torch::nn::Module& layer, const std::string& name);

/// y as the active variations of a layer change it, one after the other. What a layer with variations calls.
/// @param axis  of y that counts the outputs
Tensor vary(const torch::nn::Module& layer, const Tensor& x, Tensor y, const LayerWeights& weights, int64_t axis = -1);

}  // namespace tessera
