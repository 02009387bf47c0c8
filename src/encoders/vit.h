#pragma once
#include <functional>

#include "encoders/downsampler.h"
#include "encoders/encoder.h"
#include "layers/block.h"
#include "layers/linear.h"

namespace tessera {

/// Vision Transformer (Dosovitskiy et al., 2020) with the variations of DeiT (Touvron et al., 2020), CLIP, SigLIP and
/// timm.
struct VitOptions {
  std::vector<int64_t> image = {224, 224};  ///< height, width that the positions are learned for
  std::vector<int64_t> patch = {16, 16};
  int64_t channels = 3, dim = 768, depth = 12, heads = 12, ffn = 3072;
  std::string activation = "gelu";
  double eps = 1e-6;
  bool qkv_bias = true, key_bias = true, qk_norm = false;  ///< see AttentionOptions
  double scale = 0;                                        ///< of the scores; 0: 1 / sqrt(head width)
  bool patch_bias = true;
  bool class_token = true;  ///< a learned token before the patches
  int64_t registers =
      0;  ///< further learned tokens after it: DeiT's distillation token, registers (Darcet et al., 2023)
  bool positions = true;              ///< the patches have some, and so have prefix and suffix, if those have rows
  bool prefix_positions = true;       ///< prefix and suffix have rows in the position table (timm: not no_embed_class)
  bool fixed_positions = false;       ///< sine-cosine positions without gradient (masked autoencoders)
  bool antialias_positions = false;   ///< when resampled to a smaller grid
  bool fractional_positions = false;  ///< never resampled: a patch takes the row that stands at the same fraction of
                                      ///< the table's height and width as it does of the picture's (Idefics2)
  bool pre_norm = false;              ///< norm between embedding and blocks (CLIP)
  bool final_norm = true;
  std::vector<int64_t> features = {};  ///< the outputs of these many blocks, side by side, without the final norm, are
                                       ///< the result; 0 is what the first block reads; empty: all blocks and the norm
  double layer_scale = 0, drop_path = 0, dropout = 0;

  std::vector<int64_t> stride = {};  ///< between patches, in pixels; empty: patch, so that they do not overlap
  bool class_token_last = false;     ///< the class token follows the patches (Wang et al., 2024)
  std::string norm = "layer";
  double final_eps = 0;    ///< of the norm after the blocks; 0: eps
  bool one_norm = false;   ///< see BlockOptions
  Json mixer = {};         ///< of mixers(), or a list that the blocks take in turn; null: attention
  Json feed_forward = {};  ///< of feed_forwards(), likewise; null: an MLP
};

TESSERA_OPTIONS(VitOptions, image, patch, channels, dim, depth, heads, ffn, activation, eps, qkv_bias, key_bias,
                qk_norm, scale, patch_bias, class_token, registers, positions, prefix_positions, fixed_positions,
                antialias_positions, pre_norm, fractional_positions, final_norm, features, layer_scale, drop_path,
                dropout, stride, class_token_last, norm, final_eps, one_norm, mixer, feed_forward)

/// What a relative of ViT has of its own; what is empty is as the options say.
struct VitParts {
  std::shared_ptr<Downsampler> patches;           ///< makes the tokens' map of a picture, instead of one convolution
  std::function<std::shared_ptr<Mixer>()> mixer;  ///< makes that of a block
  std::function<std::shared_ptr<FeedForward>()> feed_forward;  ///< likewise
};

class Vit : public Encoder {
 public:
  explicit Vit(const VitOptions& options, const VitParts& parts = {});

  Tokens forward(const Tensor& pixels) override { return forward(pixels, {}); }
  /// The patches of which every pixel is real are the tokens; the others are masked.
  Tokens forward(const Tensor& pixels, const Tensor& real) override;
  int64_t width() const override;
  Layout layout(int64_t height, int64_t width) const override;

  /// Patch embedding, positions and prefix: B x C x H x W -> B x (prefix + h*w) x D. Pixels beyond the last whole patch
  /// are left out.
  Tokens embed(const Tensor& pixels, const Tensor& real = {});
  /// The patches alone, with their positions, B x h*w x D: for methods that drop some before the blocks.
  Tokens embed_patches(const Tensor& pixels, const Tensor& real = {}) { return positioned(patches(pixels, real)); }
  /// The same without positions, and the positions added: for methods that replace some between the two.
  Tokens patches(const Tensor& pixels, const Tensor& real = {});
  Tokens positioned(const Tokens& patches);
  /// Puts the prefix with its positions before the tokens; a relative may do more with them.
  virtual Tokens prepend_prefix(const Tokens& patches);
  /// Puts a class token that stands last behind them, with its position.
  Tokens append_suffix(const Tokens& tokens);
  /// The blocks and the norm, or the features.
  Tokens encode(Tokens tokens);

  const VitOptions& options() const { return options_; }
  ModuleList<Block>& blocks() const { return *blocks_; }

 private:
  Tensor positions_of(const Tokens& patches);

  VitOptions options_;
  Grid trained_;  // the grid of the position table
  std::shared_ptr<Convolution> patch_;
  std::shared_ptr<Downsampler> patches_;
  int64_t prefix_ = 0, suffix_ = 0;
  Tensor class_token_;  // 1 x 1 x D
  Tensor registers_;    // 1 x registers x D
  Tensor positions_;    // 1 x (prefix +) h*w x D; undefined: none
  std::shared_ptr<Norm> pre_norm_, norm_;
  std::shared_ptr<ModuleList<Block>> blocks_;
};

/// `depth` pre-norm blocks of attention and MLP (or other parts) with linearly rising drop path.
std::shared_ptr<ModuleList<Block>> vit_blocks(const VitOptions& options, const VitParts& parts = {});

}  // namespace tessera
