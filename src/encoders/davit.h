#pragma once
#include "encoders/encoder.h"
#include "io/name_table.h"
#include "layers/block.h"
#include "layers/linear.h"

namespace tessera {

/// DaViT (Ding et al., 2022): stages of convolution and blocks, in which attention within windows takes turns with
/// attention of channels to channels. Each list has one entry a stage.
struct DavitOptions {
  int64_t channels = 3;
  std::vector<int64_t> dims = {128, 256, 512, 1024}, depths = {1, 1, 9, 1};
  std::vector<int64_t> heads = {4, 8, 16, 32}, groups = {4, 8, 16, 32};
  std::vector<int64_t> kernels = {7, 3, 3, 3}, strides = {4, 2, 2, 2}, paddings = {3, 1, 1, 1};
  std::vector<bool> pre_norm = {false, true, true, true};  ///< norm before the stage's convolution, not after it
  int64_t window = 12;                                     ///< tokens along each side
  double ffn_ratio = 4;                                    ///< hidden width of the feed-forward over the stage's width
  bool qkv_bias = true;
  std::string activation = "gelu";
  double eps = 1e-5, drop_path = 0;
};
TESSERA_OPTIONS(DavitOptions, channels, dims, depths, heads, groups, kernels, strides, paddings, pre_norm, window,
                ffn_ratio, qkv_bias, activation, eps, drop_path)

/// A convolution to the stage's grid and width, and `depth` pairs of a spatial and a channel block.
/// Taps: the stage's map, B x D x h x w.
class DavitStage : public Module {
 public:
  /// @param drop_path  of the first block; each further block has `step` more
  DavitStage(const DavitOptions& options, size_t stage, double drop_path, double step);
  /// B x D' x h' x w' -> B x D x h x w
  Tensor forward(const Tensor& map);

 private:
  bool pre_norm_;
  std::shared_ptr<Convolution> convolution_;
  std::shared_ptr<Norm> norm_;
  std::shared_ptr<ModuleList<Block>> spatial_, channel_;
};

/// Gives the tokens of the last stage. Taps: "map" (those as B x D x h x w), "stages.n".
class Davit : public Encoder {
 public:
  /// @throws Error where the lists have different lengths
  explicit Davit(const DavitOptions& options);
  using Encoder::forward;
  Tokens forward(const Tensor& pixels) override;
  int64_t width() const override { return options_.dims.back(); }
  Layout layout(int64_t height, int64_t width) const override;

 private:
  DavitOptions options_;
  std::shared_ptr<ModuleList<DavitStage>> stages_;
};

/// The published names: those of transformers ("convs.0.conv"), or of the first Florence-2 files ("convs.0.proj").
NameTable davit_names(bool original);

}  // namespace tessera
