#pragma once
#include "encoders/vit.h"

namespace tessera {

/// Masked autoencoder (He et al., 2021): a ViT encodes a random quarter of the patches, a small one reconstructs the
/// pixels of the others.
struct VitMaeOptions {
  VitOptions encoder;
  int64_t decoder_dim = 512, decoder_depth = 8, decoder_heads = 16, decoder_ffn = 2048;
  double mask_ratio = 0.75;
  bool normalise_targets = false;  ///< every target patch to mean 0, variance 1
};

class VitMae : public Module {
 public:
  struct Output {
    Tensor loss;     ///< scalar: mean squared error over the masked patches
    Tensor pixels;   ///< prediction, B x N x (p * p * C)
    Tensor mask;     ///< B x N, 1 where a patch was removed
    Tensor restore;  ///< B x N, where each patch lies in the shuffled order
  };

  explicit VitMae(const VitMaeOptions& options);

  /// @param pixels  B x C x H x W
  /// @param noise   B x N, uniform: the patches with the smallest values are kept
  Output forward(const Tensor& pixels, const Tensor& noise);

  /// B x C x H x W -> B x N x (p * p * C); within a patch by row, column, channel.
  Tensor patchify(const Tensor& pixels) const;
  /// The reverse, for a square picture.
  Tensor unpatchify(const Tensor& patches) const;
  /// Mean squared error of the masked patches.
  Tensor loss(const Tensor& pixels, const Tensor& predicted, const Tensor& mask) const;

 private:
  Tensor decode(const Tokens& latent, const Tensor& restore);

  VitMaeOptions options_;
  std::shared_ptr<Vit> encoder_;
  std::shared_ptr<Linear> decoder_embed_, decoder_pred_;
  Tensor mask_token_;         // 1 x 1 x decoder_dim
  Tensor decoder_positions_;  // 1 x (1 + N) x decoder_dim, fixed
  std::shared_ptr<ModuleList<Block>> decoder_blocks_;
  std::shared_ptr<Norm> decoder_norm_;
};

}  // namespace tessera
