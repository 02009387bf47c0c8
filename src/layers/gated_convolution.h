#pragma once
#include "layers/linear.h"
#include "layers/mixer.h"
#include "layers/norm.h"

namespace tessera {

/// One half of the channels of a map is filtered by a 3 x 3 depthwise convolution, the other one by a learned product
/// in the frequency domain (Rao et al., 2021), which sees the whole map; then they take turns. A norm stands before
/// and behind. For a map of another extent the filter is resampled (bilinearly, corners aligned).
class GlobalLocalFilter : public Module {
 public:
  /// @param channels       even
  /// @param height, width  of the filter; that of a map H x W is H x (W / 2 + 1)
  GlobalLocalFilter(int64_t channels, int64_t height, int64_t width);
  /// B x C x H x W -> the same shape. Taps: the result.
  Tensor forward(const Tensor& map);

 private:
  Tensor filter(int64_t height, int64_t width) const;

  std::shared_ptr<Norm> pre_norm_, post_norm_;
  std::shared_ptr<Convolution> local_;
  Tensor weight_;  // C / 2 x height x width x 2: real and imaginary part
};

struct GatedConvolutionOptions {
  int64_t dim = 64, order = 3;
  double scale = 1.0 / 3;                       ///< of the gates
  int64_t kernel = 7;                           ///< of their depthwise convolution
  int64_t filter_height = 0, filter_width = 0;  ///< they come of a GlobalLocalFilter of this extent; 0: convolution
};

/// Recursive gated convolution (HorNet; Rao et al., 2022): `order` times, the features of a token are multiplied with
/// gates that its neighbourhood makes, and projected to twice the width. Taps: the result, B x L x D; "gates"
/// (B x channels x H x W, before the scale).
class GatedConvolution : public Mixer {
 public:
  /// @throws Error where the width cannot be halved order - 1 times
  explicit GatedConvolution(const GatedConvolutionOptions& options);
  /// @throws Error where the tokens fill no grid, or have prefix or suffix
  Tensor forward(const Tokens& tokens) override;

 private:
  GatedConvolutionOptions options_;
  std::shared_ptr<Linear> proj_in_, proj_out_;
  std::shared_ptr<Convolution> convolution_;
  std::shared_ptr<GlobalLocalFilter> filter_;
  std::shared_ptr<ModuleList<Linear>> widen_;
};

}  // namespace tessera
