#pragma once
#include "encoders/tnt.h"
#include "layers/convolution_norm.h"
#include "layers/pooled_attention.h"

namespace tessera {

/// PyramidTNT (Han et al., 2022): transformers in a transformer in four stages, from a convolutional stem. A sentence
/// stands for 8 x 8 pixels at first and has 16 words in all stages. Lists have one entry a stage.
struct PyramidTntOptions {
  std::vector<int64_t> image = {256, 256};  ///< height, width that the positions are learned for
  int64_t channels = 3;
  std::vector<int64_t> depths = {2, 6, 3, 2}, dims = {128, 256, 512, 512}, heads = {4, 8, 16, 16};
  std::vector<int64_t> inner_dims = {16, 32, 64, 64}, inner_heads = {2, 4, 8, 8};
  std::vector<int64_t> ratios = {4, 2, 1, 1};  ///< of the sentences' pooled keys, along a side
  double ffn_ratio = 4;
  bool qkv_bias = false, excitation = false;  ///< see TntBlockOptions
  double scale = 0;                           ///< of the scores; 0: 1 / sqrt(head width)
  double eps = 1e-5, drop_path = 0;
};
TESSERA_OPTIONS(PyramidTntOptions, image, channels, depths, dims, heads, inner_dims, inner_heads, ratios, ffn_ratio,
                qkv_bias, excitation, scale, eps, drop_path)

/// Words and sentences on their way through the stages.
struct WordsAndSentences {
  Tensor words;      ///< B * sentences x 16 x inner width
  Tokens sentences;  ///< B x sentences x width, in their grid
};

/// Blocks of one grid, of which the first (of more than six: the first two) have words. Taps: "words", "sentences".
class PyramidTntStage : public Module {
 public:
  /// @param trained  the grid that the bias is learned for
  /// @param rates    drop path of each block
  PyramidTntStage(const PyramidTntOptions& options, size_t stage, const Grid& trained,
                  const std::vector<double>& rates);
  void forward(WordsAndSentences& x);

 private:
  std::shared_ptr<GridBias> bias_;
  std::shared_ptr<ModuleList<TntBlock>> blocks_;
};

/// Halves the grid of the sentences, and joins the words of each four that become one. Taps: "words", "sentences".
class PyramidTntMerge : public Module {
 public:
  PyramidTntMerge(const PyramidTntOptions& options, size_t stage);
  void forward(WordsAndSentences& x);

 private:
  std::shared_ptr<Norm> word_norm_, sentence_norm_;
  std::shared_ptr<Convolution> word_, sentence_;
};

/// Pictures of any size: the positions and biases are resampled, and odd grids filled up. Gives the sentences of the
/// last stage. Taps: "words" and "sentences" (without positions), "stages.n.words", "stages.n.sentences",
/// "merges.n.words", "merges.n.sentences", "norm".
class PyramidTnt : public Encoder {
 public:
  explicit PyramidTnt(const PyramidTntOptions& options);
  using Encoder::forward;
  Tokens forward(const Tensor& pixels) override;
  int64_t width() const override { return options_.dims.back(); }
  Layout layout(int64_t height, int64_t width) const override;

 private:
  WordsAndSentences embed(const Tensor& pixels);

  PyramidTntOptions options_;
  Grid trained_;
  std::shared_ptr<ConvolutionNorm> stem_, inner_;
  std::shared_ptr<ModuleList<ConvolutionNorm>> outer_;
  Tensor inner_positions_, positions_;
  std::shared_ptr<ModuleList<PyramidTntStage>> stages_;
  std::shared_ptr<ModuleList<PyramidTntMerge>> merges_;
  std::shared_ptr<Norm> norm_;
};

}  // namespace tessera
