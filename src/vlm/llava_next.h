#pragma once
#include <array>

#include "vlm/llava.h"

namespace tessera {

struct LlavaNextOptions {
  std::vector<std::array<int64_t, 2>> grid;  ///< the canvases that a picture may be laid on, height and width in pixels
  int64_t tile = 336;                        ///< height and width of a tile in pixels
};

/// LLaVA-NeXT (Liu et al., 2024): a picture is an overview and the tiles of the canvas that fits it best. The tiles'
/// features are put together to one map, from which the padding of the canvas is cut off; a learned token ends each of
/// its rows; the overview's features come first.
class LlavaNext : public Llava {
 public:
  LlavaNext(const VisionLanguageParts& parts, const VisionLanguageOptions& options, const LlavaNextOptions& next);

  /// Pictures are N x T x C x tile x tile, of which the first is the overview; tiles beyond those that a picture needs
  /// are not looked at. image_sizes is needed.
  std::vector<Tensor> picture_tokens(const MultimodalBatch& batch) override;
  std::vector<int64_t> picture_lengths(const ImageBatch& pictures) const override;

 private:
  struct Map;  // where the picture lies in the map of its tiles
  Map map_of(const ImageBatch& pictures, int64_t picture) const;
  Tensor pack(const Tensor& tiles, const Map& map) const;

  LlavaNextOptions next_;
  Tensor newline_;  // width
};

}  // namespace tessera
