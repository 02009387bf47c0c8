#pragma once
#include "encoders/classifier.h"

namespace tessera {

/// A classifier that, while it learns, also says of every patch what it shows (Jiang et al., 2021; token mixing of
/// Liao et al., 2021). Classification itself goes by the pooled tokens alone.
class PatchLabellingClassifier : public ImageClassifier {
 public:
  explicit PatchLabellingClassifier(const ImageClassifierOptions& options);

  struct Logits {
    Tensor picture;  ///< B x classes
    Tensor patches;  ///< B x h*w x classes
  };
  /// Both from one pass; the encoder has a final norm, whose tokens the patches' head reads.
  Logits label(const Tensor& pixels);

 private:
  std::shared_ptr<Linear> patch_head_;
};

/// A box of patches: rows top to bottom - 1, columns left to right - 1.
struct PatchBox {
  int64_t top = 0, bottom = 0, left = 0, right = 0;
};

/// Pictures of which a part comes from another picture of the batch, and what they and their patches show then.
struct MixedPictures {
  Tensor pixels;   ///< B x C x H x W
  Tensor labels;   ///< B x classes, parts of 1: by area
  Tensor patches;  ///< B x patches of a side squared x classes
};

/// Token mixing (Liao et al., 2021): the patches of a box are those of other pictures.
/// @param pixels   B x C x H x W, square
/// @param labels   B, int64
/// @param other    B, int64: the picture that each takes the box from
/// @param side     patches of a side; divides that of the picture
/// @param kept     part of a picture's label that stays its own; usually 1 - box / all
/// @param smoothing  of all labels: a part of 1 that all classes share
/// @throws Error for a box that is not in the picture, or a side that does not divide it
MixedPictures mix_patches(const Tensor& pixels, const Tensor& labels, const Tensor& other, const PatchBox& box,
                          int64_t side, double kept, int64_t classes, double smoothing);

}  // namespace tessera
