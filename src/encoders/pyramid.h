#pragma once
#include "encoders/downsampler.h"
#include "encoders/encoder.h"
#include "layers/block.h"
#include "layers/linear.h"

namespace tessera {

struct NormedConvolutionOptions {
  int64_t in = 3, out = 96, kernel = 4, stride = 4, padding = 0;
  bool norm = true, pre_norm = false;  ///< of the channels, after the convolution or before it
  bool fill = false;                   ///< zeros at the right and at the bottom, until the stride divides the map
  double eps = 1e-5;
};

/// A strided convolution with a norm of the channels. Taps: the map, B x D x h x w.
class NormedConvolution : public Downsampler {
 public:
  explicit NormedConvolution(const NormedConvolutionOptions& options);
  Tensor forward(const Tensor& map) override;
  int64_t extent(int64_t before) const override;

 private:
  NormedConvolutionOptions options_;
  std::shared_ptr<Convolution> convolution_;
  std::shared_ptr<Norm> norm_;
};

/// A map of its own and blocks that read its cells as tokens. Taps: the stage's map, B x D x h x w; "entry",
/// "blocks.n".
class PyramidStage : public Module {
 public:
  explicit PyramidStage(std::shared_ptr<Downsampler> entry);
  /// B x C x H x W -> B x D x h x w
  Tensor forward(const Tensor& map);
  Downsampler& entry() const { return *entry_; }
  ModuleList<Block>& blocks() const { return *blocks_; }

 protected:
  /// The blocks one after the other, unless a stage has other parts.
  virtual Tokens mix(Tokens tokens);

 private:
  std::shared_ptr<Downsampler> entry_;
  std::shared_ptr<ModuleList<Block>> blocks_;
};

/// A backbone whose maps shrink from stage to stage while their channels grow. It gives the tokens of the last stage;
/// those of the others are tapped. Taps: "map" (the last stage's, B x D x h x w), "stages.n".
class Pyramid : public Encoder {
 public:
  using Encoder::forward;
  /// @throws Error where the pixels are no picture of the right channels, or too few for the stages
  Tokens forward(const Tensor& pixels) override;
  int64_t width() const override { return width_; }
  Layout layout(int64_t height, int64_t width) const override;

 protected:
  /// @param name  for messages: "swin"
  Pyramid(std::string name, int64_t channels);
  /// @param width  channels of the stage
  void add_stage(std::shared_ptr<PyramidStage> stage, int64_t width);
  /// A norm of the last stage's tokens.
  void add_norm(double eps) { norm_ = add<Norm>("norm", width_, eps); }
  /// What follows the last stage: the norm, where there is one.
  virtual Tokens finish(const Tokens& tokens) { return norm_ ? tokens.with(norm_->forward(tokens.x)) : tokens; }

 private:
  std::string name_;
  int64_t channels_, width_ = 0;
  std::shared_ptr<ModuleList<PyramidStage>> stages_;
  std::shared_ptr<Norm> norm_;
};

/// @throws Error where one of the lists does not have an entry for each of the `stages`, or there are none
void check_stages(const std::string& name, size_t stages, const std::vector<size_t>& lengths);

/// The drop path of block `index` of `count`, rising linearly from 0 to `last` (Huang et al., 2016).
double rising(double last, int64_t index, int64_t count);

}  // namespace tessera
