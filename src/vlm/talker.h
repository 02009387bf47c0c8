#pragma once
#include <set>

#include "fusion/dual_encoder.h"
#include "layers/feed_forward.h"
#include "vlm/vision_language.h"

namespace tessera {

/// A dual encoder that talks: what its picture tower sees becomes tokens of a small decoder.
struct TalkerOptions {
  Json dual_encoder;                    ///< DualEncoderOptions
  Json bridge;                          ///< from cells of the picture: {"kind": "mlp", "dim": 3 patch^2, "width": ...}
  Json language;                        ///< {"kind": "decoder", ...}
  std::vector<int64_t> cells = {2, 2};  ///< rows and columns in which the decoder reads a picture
  int64_t patch = 8;                    ///< pixels on a side of the thumbnail of each cell
  int64_t shades = 8;                   ///< of red, green and blue each, in the histogram of a picture's colours
  int64_t begin_id = 2;                 ///< of the token between question and answer
  std::vector<int64_t> asking;          ///< tokens that make a question of names: "is", "this", "a", "?"
  std::vector<std::string> languages;   ///< that it was trained to name things in, as tags ("de")
  double noise = 0;                     ///< longest random vector that is added to a picture's unit vector in training
  int64_t memory = 0;                   ///< names whose vectors stand for what a picture shows; 0: its own vector does
};
TESSERA_OPTIONS(TalkerOptions, dual_encoder, bridge, language, cells, patch, shades, begin_id, asking, languages, noise,
                memory)

/// A dual encoder as the encoder of a vision-language model. Its vector of a picture says what is shown; the tokens are
/// thumbnails of the cells of a coarse grid, for what that vector has overlooked. The tower's features are no tokens: a
/// decoder recognises single pictures of the training by them.
class DualEncoderTower : public Encoder {
 public:
  DualEncoderTower(std::shared_ptr<DualEncoder> dual, Grid cells, int64_t patch);
  using Encoder::forward;
  Tokens forward(const Tensor& pixels) override;
  int64_t width() const override { return 3 * patch_ * patch_; }
  Layout layout(int64_t, int64_t) const override { return {.grid = cells_}; }
  DualEncoder& dual() { return *dual_; }

 private:
  std::shared_ptr<DualEncoder> dual_;
  Grid cells_;
  int64_t patch_;
};

/// A picture becomes one token for what it shows, made of its vector in the shared space of pictures and names; one for
/// its colours, made of their histogram (Swain and Ballard, 1991), since a tower that learned names has learned to
/// overlook them; and one for each cell of a coarse grid, made by the bridge of a thumbnail of its pixels.
///
/// With a memory of the names that it knows, what a picture shows is not told by its own vector but by those names'
/// vectors, weighted by how near they are to it (DeCap; Li et al., 2023): the decoder then reads the same points of the
/// space for pictures of a style that it never saw.
///
/// What a question names, which is what stands between the words that ask, is also read by the text tower: its vector
/// in the shared space, and how near that lies to the picture's, are added to the tokens of the name. So "is it a
/// lemon?" is a comparison, and nothing to be learned for every name.
///
/// It answers single questions: pictures, question, begin-of-text; then answer, end-of-text. In the ids a picture is
/// picture_length() times the placeholder, which lies beyond the vocabulary.
class Talker : public VisionLanguage {
 public:
  Talker(const TalkerOptions& options, const std::shared_ptr<DualEncoder>& dual);

  /// The tokens of each picture, and after them its vector in the shared space, filled up with zeros, for join() to
  /// read: 1 + picture_length() x width.
  std::vector<Tensor> picture_tokens(const MultimodalBatch& batch) override;
  /// The same for a batch of pixels, N x 3 x H x W.
  Tensor picture_tokens(const Tensor& pixels);
  /// The same for what has only a vector in the shared space, N x dim: no colours, and cells of nothing. A name can
  /// stand for a picture so.
  Tensor vector_tokens(const Tensor& vectors);
  /// Fills the memory. @param vectors  of the names in the shared space, options.memory x dim; their directions are
  /// kept in eight bits a number
  void remember(const Tensor& vectors);
  /// Tokens of a picture.
  int64_t picture_length() const { return length_; }
  std::vector<int64_t> picture_lengths(const ImageBatch& pictures) const override;
  Tokens join(const std::vector<Tensor>& pictures, const TextBatch& text) override;
  /// Tags of the languages that it was trained to name things in; empty: not known.
  const std::vector<std::string>& languages() const { return languages_; }
  /// The token between question and answer.
  int64_t begin_id() const { return begin_id_; }

  DualEncoderTower& tower() const { return static_cast<DualEncoderTower&>(encoder()); }
  DualEncoder& dual() const { return tower().dual(); }
  /// Leaves the dual encoder as it is, whatever is trained: no gradient, and no running means from now on.
  void freeze_dual();
  void train(bool on = true) override;

 private:
  Tensor recalled(const Tensor& vectors);

  int64_t length_, begin_id_, shades_;
  double noise_;
  std::set<int64_t> asking_;
  std::vector<std::string> languages_;
  bool frozen_ = false;
  std::shared_ptr<Linear> naming_, likeness_;
  std::shared_ptr<Mlp> colours_;
  Tensor memory_;  // names x dim, int8; undefined without
};

/// Reads the options of a Talker from a recipe or from the config.json that save_model() wrote.
std::shared_ptr<Talker> make_talker(const Json& options, const std::string& where);

/// The dual encoder in a module: the module itself, or that of a talker; null where there is none.
DualEncoder* dual_encoder_in(Module& module);

/// How a talker's texts are put together.
struct TalkerFormat {
  int64_t placeholder = 0, picture_length = 0, begin = 0, end = 0;  ///< ids; tokens of a picture

  /// The ids before an answer.
  std::vector<int64_t> prompt(const std::vector<int64_t>& question, bool picture) const;
};

}  // namespace tessera
