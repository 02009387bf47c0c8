#pragma once
#include "encoders/encoder.h"
#include "io/name_table.h"
#include "layers/block.h"
#include "layers/linear.h"

namespace tessera {

struct TntBlockOptions {
  int64_t dim = 384, heads = 6;             ///< of the sentences
  int64_t inner_dim = 24, inner_heads = 4;  ///< of the words
  int64_t words = 16;                       ///< of a sentence; 0: the block has sentences alone
  double ffn_ratio = 4, inner_ffn_ratio = 4;
  bool qkv_bias = false;
  double scale = 0;         ///< of the scores; 0: 1 / sqrt(head width)
  bool word_norm = true;    ///< the words are normed one by one before attention, not all of a sentence together
  bool legacy = false;      ///< they are one by one before the projection, too, which has a bias and no second norm
  bool excitation = false;  ///< gates the channels of the sentences' feed-forward (Hu et al., 2017)
  double eps = 1e-5, drop_path = 0;
};

/// A layer of a transformer in a transformer: the words of each sentence attend to each other, and are then added to
/// their sentence, and the sentences attend to each other. Taps: "words" and "outer", the results; "joined" between.
class TntBlock : public Module {
 public:
  /// @param outer  what mixes the sentences
  TntBlock(const TntBlockOptions& options, std::shared_ptr<Mixer> outer);
  /// @param words      B * sentences x words x inner width; replaced by what they become
  /// @param sentences  B x (prefix +) sentences x width
  Tokens forward(Tensor& words, const Tokens& sentences);

 private:
  TntBlockOptions options_;
  std::shared_ptr<Norm> inner_norm1_, inner_norm2_, proj_norm1_, proj_norm2_;
  std::shared_ptr<Mixer> inner_;
  std::shared_ptr<FeedForward> inner_ffn_;
  std::shared_ptr<Linear> proj_;
  std::shared_ptr<Block> outer_;
};

/// Transformer in Transformer (Han et al., 2021): patches are sentences of words, which are smaller patches.
struct TntOptions {
  std::vector<int64_t> image = {224, 224};  ///< height, width that the positions are learned for
  int64_t patch = 16, channels = 3, depth = 12;
  int64_t dim = 384, heads = 6, inner_dim = 24, inner_heads = 4;
  int64_t inner_stride = 4;  ///< pixels from word to word
  double ffn_ratio = 4, inner_ffn_ratio = 4;
  bool qkv_bias = false;
  double scale = 0;            ///< of the scores; 0: 1 / sqrt(head width)
  bool legacy = false;         ///< as the first files of timm: words see beyond their patch; see TntBlockOptions
  bool position_maps = false;  ///< the positions of words are kept as 1 x D x h x w (timm), not 1 x h*w x D
  bool excitation = false;     ///< see TntBlockOptions
  double eps = 1e-5, drop_path = 0;
};
TESSERA_OPTIONS(TntOptions, image, patch, channels, depth, dim, heads, inner_dim, inner_heads, inner_stride, ffn_ratio,
                inner_ffn_ratio, qkv_bias, scale, legacy, position_maps, excitation, eps, drop_path)

/// Gives a class token and the sentences. Pixels beyond the last whole patch are left out.
/// Taps: "pixels" and "words" (B * sentences x words x inner width, before and after their positions), "sentences"
/// (B x sentences x width, before theirs), "blocks.n.words", "blocks.n.outer", "norm".
class Tnt : public Encoder {
 public:
  explicit Tnt(const TntOptions& options);
  using Encoder::forward;
  Tokens forward(const Tensor& pixels) override;
  int64_t width() const override { return options_.dim; }
  Layout layout(int64_t height, int64_t width) const override;

 private:
  Tensor words_of(const Tensor& pixels);
  Tokens sentences_of(const Tensor& words, const Grid& grid);

  TntOptions options_;
  Grid trained_;
  std::shared_ptr<Convolution> pixel_;
  Tensor class_token_;                  // 1 x 1 x D
  Tensor inner_positions_, positions_;  // of words, and of the class token and sentences: 1 x 1 + h*w x D
  std::shared_ptr<Norm> proj_norm1_, proj_norm2_, norm_;
  std::shared_ptr<Linear> proj_;
  std::shared_ptr<ModuleList<TntBlock>> blocks_;
};

/// The authors' names of the parts of a block.
NameTable tnt_block_names();

}  // namespace tessera
