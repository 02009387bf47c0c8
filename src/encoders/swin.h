#pragma once
#include "encoders/pyramid.h"

namespace tessera {

/// Swin Transformer (Liu et al., 2021): a pyramid whose blocks attend within windows, every second one within windows
/// that are shifted by half their side. Lists have one entry a stage.
struct SwinOptions {
  std::vector<int64_t> image = {224, 224};  ///< height, width that the absolute positions are learned for
  int64_t patch = 4, channels = 3, dim = 96;
  std::vector<int64_t> depths = {2, 2, 6, 2}, heads = {3, 6, 12, 24};
  std::vector<int64_t> windows = {7, 7, 7, 7};  ///< tokens along a side; a smaller grid has smaller ones
  double ffn_ratio = 4;                         ///< hidden width of the feed-forward over the stage's width
  bool qkv_bias = true;
  double scale = 0;                 ///< of the scores; 0: 1 / sqrt(head width)
  bool absolute_positions = false;  ///< a learned table, added to the patches
  bool patch_norm = true;
  std::string activation = "gelu";
  double eps = 1e-5;  ///< of the blocks and the last norm; those of patches and merging have 1e-5
  double drop_path = 0, dropout = 0;
};
TESSERA_OPTIONS(SwinOptions, image, patch, channels, dim, depths, heads, windows, ffn_ratio, qkv_bias, scale,
                absolute_positions, patch_norm, activation, eps, drop_path, dropout)

/// Pictures of any size: they are filled up with zeros to whole patches, and grids to whole windows.
/// Taps: those of a Pyramid; "stages.0.entry.patches" and "stages.0.entry.embed" before and after the positions,
/// "stages.n.entry.merged", "stages.n.blocks.m", "stages.n.blocks.m.attention.weights".
class Swin : public Pyramid {
 public:
  explicit Swin(const SwinOptions& options);
};

/// Joins two by two tokens to one of their norm, projected to another width; a grid of odd extent is filled up with
/// zeros. Taps: "merged", B x L / 4 x out.
class PatchMerging : public Downsampler {
 public:
  PatchMerging(int64_t in, int64_t out);
  Tensor forward(const Tensor& map) override;
  int64_t extent(int64_t before) const override { return (before + 1) / 2; }

 private:
  std::shared_ptr<Norm> norm_;
  std::shared_ptr<Linear> reduction_;
};

}  // namespace tessera
