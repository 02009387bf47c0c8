#pragma once
#include "encoders/pyramid.h"
#include "layers/batch_norm.h"
#include "layers/convolution_norm.h"
#include "layers/manhattan_attention.h"

namespace tessera {

/// RMT (Fan et al., 2023): a pyramid whose attention falls with the distance of tokens. Lists have one entry a stage.
struct RmtOptions {
  int64_t channels = 3;
  std::vector<int64_t> dims = {64, 128, 256, 512}, depths = {2, 2, 8, 2}, heads = {4, 4, 8, 16};
  std::vector<double> first_decays = {2, 2, 2, 2}, decay_ranges = {4, 4, 6, 6};  ///< see ManhattanDecay
  std::vector<double> ffn_ratios = {3, 3, 3, 3};
  std::vector<bool> decomposed = {true, true, false, false};  ///< attention along rows, then along columns
  std::vector<bool> layer_scales = {false, false, false, false};
  double layer_scale = 1e-6;  ///< first value, where a stage has one
  int64_t projection = 1024;  ///< width of the result, by a layer behind the last stage
  double drop_path = 0;
};
TESSERA_OPTIONS(RmtOptions, channels, dims, depths, heads, first_decays, decay_ranges, ffn_ratios, decomposed,
                layer_scales, layer_scale, projection, drop_path)

/// Convolutions of 3 x 3, each with batch norm, with GELU between them. Taps: the map.
class ConvolutionStem : public Downsampler {
 public:
  struct Step {
    int64_t width, stride;
  };
  ConvolutionStem(int64_t in, const std::vector<Step>& steps);
  Tensor forward(const Tensor& map) override;
  int64_t extent(int64_t before) const override;

 private:
  std::vector<Step> steps_;
  std::shared_ptr<ModuleList<ConvolutionNorm>> layers_;
};

/// Attention with a depthwise convolution that tells tokens where they stand, and a feed-forward that sees neighbours.
/// Taps: "mixing", "mixing.attention", "feeding", "feeding.attention" (the feed-forward).
class RmtLayer : public Module {
 public:
  RmtLayer(const RmtOptions& options, size_t stage, double drop_path, std::shared_ptr<ManhattanDecay> decay);
  Tokens forward(const Tokens& tokens) { return feeding_->forward(mixing_->forward(tokens)); }

 private:
  std::shared_ptr<Block> mixing_, feeding_;
};

class RmtStage : public PyramidStage {
 public:
  /// @param before  layers of the stages before this one
  RmtStage(const RmtOptions& options, size_t stage, int64_t before);

 protected:
  Tokens mix(Tokens tokens) override;

 private:
  std::shared_ptr<ManhattanDecay> decay_;
  std::shared_ptr<ModuleList<RmtLayer>> layers_;
};

/// Pictures of any size. Taps: those of a Pyramid; "stages.n.layers.m" and what RmtLayer says.
class Rmt : public Pyramid {
 public:
  explicit Rmt(const RmtOptions& options);
  int64_t width() const override { return options_.projection; }

 protected:
  Tokens finish(const Tokens& tokens) override;

 private:
  RmtOptions options_;
  std::shared_ptr<Linear> projection_;
  std::shared_ptr<BatchNorm> projection_norm_;
};

}  // namespace tessera
