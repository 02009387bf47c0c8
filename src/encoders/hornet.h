#pragma once
#include "encoders/pyramid.h"

namespace tessera {

/// HorNet (Rao et al., 2022): a pyramid of blocks that mix tokens by recursive gated convolutions. Lists have one entry
/// a stage.
struct HornetOptions {
  int64_t channels = 3, dim = 64;  ///< dim: width of the first stage; each further one has twice as much
  std::vector<int64_t> depths = {2, 3, 18, 2};
  std::vector<int64_t> orders = {2, 3, 4, 5};  ///< see GatedConvolution
  std::vector<double> scales = {1.0 / 3, 1.0 / 3, 1.0 / 3, 1.0 / 3};
  /// Extents of the stages' frequency filters, which take the place of the 7 x 7 convolutions; 0: there is none.
  std::vector<int64_t> filter_heights = {0, 0, 0, 0}, filter_widths = {0, 0, 0, 0};
  double layer_scale = 1e-6, drop_path = 0;
};
TESSERA_OPTIONS(HornetOptions, channels, dim, depths, orders, scales, filter_heights, filter_widths, layer_scale,
                drop_path)

/// Pictures of 32 pixels or more; those beyond the last whole patch are left out. Taps: those of a Pyramid;
/// "stages.n.blocks.m", "stages.n.blocks.m.attention" (the gated convolution).
class Hornet : public Pyramid {
 public:
  explicit Hornet(const HornetOptions& options);
};

}  // namespace tessera
