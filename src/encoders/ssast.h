#pragma once
#include "encoders/vit.h"
#include "layers/feed_forward.h"

namespace tessera {

/// A spectrogram, B x time x bands, as the picture that a ViT reads: B x 1 x bands x time.
Tensor spectrogram_picture(const Tensor& spectrogram);

/// The self-supervised task of SSAST (Gong et al., 2022): a ViT reads a spectrogram of which some patches are replaced
/// by a learned vector, and two heads say what they were: one picks the patch among the masked ones of its clip, one
/// draws it.
class SpectrogramPretraining : public Module {
 public:
  /// @param vit  with stride = patch
  explicit SpectrogramPretraining(const VitOptions& vit);

  struct Picked {
    Tensor loss;      ///< mean of -log p of the right patch (InfoNCE)
    Tensor accuracy;  ///< share of patches whose own prediction is the best for them
  };
  /// @param picture  B x 1 x bands x time
  /// @param masked   B x M, the masked patches, frequency by frequency: row * columns + column
  Picked pick(const Tensor& picture, const Tensor& masked);
  /// The mean squared error of the drawn patches.
  Tensor draw(const Tensor& picture, const Tensor& masked);
  const Vit& encoder() const { return *encoder_; }

 private:
  /// What a head predicts for the masked patches, and the patches: B x M x pixels.
  std::pair<Tensor, Tensor> predicted(const Tensor& picture, const Tensor& masked, Mlp& head);

  std::shared_ptr<Vit> encoder_;
  std::shared_ptr<Mlp> pick_, draw_;
  Tensor mask_token_;  // 1 x 1 x D
};

/// Masked patches in squares: the cells of edge x edge that begin at each of the starts, in order, until there are more
/// than `count`; of those the first `count`, ascending. As in the official code, patch 0 is never masked, and squares
/// run over the ends of rows.
/// @throws Error where the starts do not give so many
std::vector<int64_t> cluster_mask(const std::vector<int64_t>& starts, int64_t edge, int64_t columns, int64_t patches,
                                  int64_t count);

/// The rows and columns of the patches of a ViT's own size of picture.
Grid patch_grid(const VitOptions& vit);

/// The position table of pre-training for another grid, as the official code makes it: fewer columns are cut from the
/// middle, more are interpolated, and then the rows likewise.
/// @param table  1 x (prefix + rows * columns) x D
Tensor adapt_spectrogram_positions(const Tensor& table, int64_t prefix, const Grid& from, const Grid& to);

}  // namespace tessera
