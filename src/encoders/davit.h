#pragma once
#include "encoders/pyramid.h"
#include "io/name_table.h"

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

/// A convolution to the stage's grid and width, and pairs of a spatial and a channel block.
class DavitStage : public PyramidStage {
 public:
  /// @param before  blocks of the stages before this one
  DavitStage(const DavitOptions& options, size_t stage, int64_t before);

 protected:
  Tokens mix(Tokens tokens) override;

 private:
  std::shared_ptr<ModuleList<Block>> spatial_, channel_;
};

/// Taps: those of a Pyramid; "stages.n.spatial.m", "stages.n.channel.m".
class Davit : public Pyramid {
 public:
  /// @throws Error where the lists have different lengths
  explicit Davit(const DavitOptions& options);
};

/// The published names: those of transformers ("convs.0.conv"), or of the first Florence-2 files ("convs.0.proj").
NameTable davit_names(bool original);

}  // namespace tessera
