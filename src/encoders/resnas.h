#pragma once
#include "encoders/downsampler.h"
#include "encoders/encoder.h"
#include "encoders/resnas_definition.h"
#include "layers/block.h"
#include "layers/convolution_norm.h"

namespace tessera {

/// ViT-ResNAS (Liao et al., 2021): a vision transformer in stages whose widths a search has found.
struct ResnasOptions {
  std::vector<int64_t> image = {224, 224};  ///< height, width that the positions are learned for
  int64_t channels = 3;
  Json network_def;                ///< see ResnasDefinition
  bool distillation = false;       ///< a second learned token behind the class token (DeiT)
  bool residual_reduction = true;  ///< false: what a reduction reads is not added to what it gives
  double drop_path = 0;
};
TESSERA_OPTIONS(ResnasOptions, image, channels, network_def, distillation, residual_reduction, drop_path)

/// Patches of 14 x 14 pixels by convolutions: 3 x 3 with stride 2, two 3 x 3 with a residual around them, and one of
/// 7 x 7 whose kernels lie side by side.
class ConvolutionalPatches : public Downsampler {
 public:
  ConvolutionalPatches(int64_t channels, int64_t middle, int64_t dim);
  Tensor forward(const Tensor& map) override;
  int64_t extent(int64_t before) const override;

 private:
  std::shared_ptr<ConvolutionNorm> first_, second_, third_;
  std::shared_ptr<Convolution> proj_;
};

struct SpatialReductionOptions {
  int64_t dim = 256, out = 512;
  Grid grid;             ///< of the patches after it, that its positions are learned for
  bool residual = true;  ///< what it reads is added: averages of 2 x 2 patches, with zeros for the new channels
};

/// Residual spatial reduction: a strided 3 x 3 convolution of the normed patches with positions of its own, and a
/// linear layer of the tokens before them. Maps of odd extent are averaged over what lies in them. A Variation may
/// change its result. Taps: the tokens after it.
class SpatialReduction : public Module {
 public:
  explicit SpatialReduction(const SpatialReductionOptions& options);
  Tokens forward(const Tokens& tokens);

 private:
  SpatialReductionOptions options_;
  std::shared_ptr<Norm> norm_;
  std::shared_ptr<Convolution> convolution_;
  std::shared_ptr<Linear> token_;
  Tensor positions_;  // 1 x h*w x out
};

/// Pictures of at least one patch; those beyond the last whole patch are left out. A Variation may change the
/// embedding. Taps: "patches" (the embedded patches, without positions), "blocks.n" with n counting blocks and
/// reductions, those of Block, "norm".
class Resnas : public Encoder {
 public:
  explicit Resnas(const ResnasOptions& options);
  using Encoder::forward;
  /// @throws Error where the pixels are no picture of the right channels, or fewer than a patch
  Tokens forward(const Tensor& pixels) override;
  int64_t width() const override { return definition_.width(); }
  Layout layout(int64_t height, int64_t width) const override;

  const ResnasDefinition& definition() const { return definition_; }

 private:
  struct Layer {  // one of both, or none for a block that is left out
    std::shared_ptr<Block> block;
    std::shared_ptr<SpatialReduction> reduction;
  };
  Tokens embed(const Tensor& pixels);
  void add_layers();

  ResnasOptions options_;
  ResnasDefinition definition_;
  Grid trained_;  // the patches that the positions are learned for
  std::shared_ptr<Convolution> patch_;
  std::shared_ptr<ConvolutionalPatches> patches_;
  Tensor tokens_;     // 1 x prefix x C
  Tensor positions_;  // 1 x prefix + h*w x C
  std::vector<Layer> layers_;
  std::shared_ptr<Norm> norm_;
};

}  // namespace tessera
