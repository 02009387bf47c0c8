#pragma once
#include "layers/module.h"

namespace tessera {

/// What makes a map of another extent: the patches of a picture, or what begins a stage of a pyramid.
class Downsampler : public Module {
 public:
  /// B x C x H x W -> B x D x h x w
  virtual Tensor forward(const Tensor& map) = 0;
  /// What becomes of an extent along an axis; below 1 where it is too small.
  virtual int64_t extent(int64_t before) const = 0;
};

}  // namespace tessera
