#pragma once
#include <torch/types.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "processors/options.h"

namespace tessera {

/// Pictures as a model takes them.
struct ImageBatch {
  torch::Tensor pixel_values;  ///< float32, B x 3 x H x W; with tiles B x T x 3 x H x W, zeros where there is no tile
  torch::Tensor pixel_mask;    ///< int64, B (x T) x H x W, 1 where a pixel is real; ViLT and Idefics2, else undefined
  torch::Tensor image_sizes;   ///< int64, B x 2, height and width of each picture as it was given
  std::vector<int64_t> tiles;  ///< how many tiles each picture has, the overview included; empty without tiles
};

/// Turns pictures into a batch exactly as the published processor does. Immutable, and may be used by several threads.
class ImageProcessor {
 public:
  explicit ImageProcessor(ImageProcessorOptions options) : options_(std::move(options)) {}

  /// Reads `preprocessor_config.json`, `processor_config.json`, `open_clip_config.json` or timm's `config.json`,
  /// or the first of them that a folder holds. @throws Error
  static ImageProcessor load(const std::string& path);

  /// @param images  any mixture of grey, RGB and RGBA, already upright; processed in parallel
  /// @throws Error for an empty batch, and where the pictures come out in different sizes and the family does not pad
  ImageBatch operator()(std::span<const Image> images) const;
  ImageBatch operator()(const Image& image) const { return (*this)(std::span(&image, 1)); }

  const ImageProcessorOptions& options() const { return options_; }

 private:
  ImageProcessorOptions options_;
};

}  // namespace tessera
