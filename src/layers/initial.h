#pragma once
#include <cstdint>

namespace tessera {

/// While it lives, the linear layers that are made on its thread begin with the deviation of Glorot and Bengio (2010),
/// sqrt(2 / (inputs + outputs)), instead of 0.02. The two are near each other at the widths of published models; a
/// model of 64 channels learns nothing for hundreds of steps from the smaller one. Parts that draw their weights in a
/// way of their own still do.
class GlorotLinears {
 public:
  GlorotLinears();
  ~GlorotLinears();
  GlorotLinears(const GlorotLinears&) = delete;
  GlorotLinears& operator=(const GlorotLinears&) = delete;

  /// What a linear layer begins with at present.
  static double deviation(int64_t in, int64_t out);

 private:
  bool outer_;
};

}  // namespace tessera
