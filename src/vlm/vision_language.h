#pragma once
#include <optional>

#include "bridges/bridge.h"
#include "decode/generate.h"
#include "encoders/encoder.h"
#include "language/language_model.h"
#include "processors/image_processor.h"
#include "vlm/picture_region.h"

namespace tessera {

/// What a vision-language model reads: pictures, and texts that have places for them.
struct MultimodalBatch {
  ImageBatch pictures;    ///< of all texts in order of appearance, any number each; pixel_values undefined: none
  TextBatch text;         ///< B x L with as many placeholders as the pictures have tokens; mask where padded
  TextBatch instruction;  ///< what the bridge reads beside each picture, N x Q; ids undefined: nothing
};

/// What decode() goes on with: the token vectors of texts with their pictures, and the state before them.
struct MultimodalPrompt : Prompt {
  LanguageState state;
};

/// The parts of a vision-language model.
struct VisionLanguageParts {
  std::shared_ptr<Encoder> encoder;
  std::shared_ptr<Bridge> bridge;
  std::shared_ptr<LanguageModel> language;
};

struct VisionLanguageOptions {
  std::string join = "replace";         ///< replace: at placeholders; prepend: one picture before each text
  int64_t placeholder_id = 32000;       ///< of a token of a picture; may lie beyond the vocabulary
  std::string placeholder = "<image>";  ///< how that token is written
  std::string features = "patches";     ///< which of the encoder's tokens go on: patches (no class token), or all
};
TESSERA_OPTIONS(VisionLanguageOptions, join, placeholder_id, placeholder, features)

class Tokenizer;

/// In which language a caption is wanted.
struct CaptionLanguage {
  std::string tag = "en", name = "English";
};

/// How a caption is asked for in words: "Describe this picture in German."
std::string caption_words(const CaptionLanguage& language);

/// The tokens of a prompt, with what the tokenizer adds unless the prompt spells its begin token itself, as those of
/// chat templates do.
Encoding encode_prompt(const std::string& prompt, const Tokenizer& tokenizer);

/// A picture encoder, a bridge and a language model as one model: LLaVA (Liu et al., 2023) and its relatives.
///
/// As a LanguageModel it is its language model, so that it decodes as any other: begin() encodes the pictures once and
/// makes the prompt's token vectors; hidden() takes them, at once or in pieces; what follows are ids.
///
///   MultimodalPrompt prompt = model.begin(batch);
///   Tensor logits = model.logits(model.hidden(prompt.tokens, &prompt.state).x);
///   logits = model.forward({next_ids, {}, {}}, &prompt.state);  // and so on
///
/// A family with another way to encode or to join overrides picture_tokens() and picture_lengths(), join() or begin().
class VisionLanguage : public LanguageModel {
 public:
  /// @throws Error where the parts do not fit together
  VisionLanguage(const VisionLanguageParts& parts, const VisionLanguageOptions& options);

  /// The tokens of each picture in the language model's width, n x width; n may differ by picture.
  virtual std::vector<Tensor> picture_tokens(const MultimodalBatch& batch);
  /// How many tokens that will be for each picture, without encoding any.
  virtual std::vector<int64_t> picture_lengths(const ImageBatch& pictures) const;
  /// The prompt as the tokenizer is to read it. Whoever asks writes one placeholder for each picture, in their order;
  /// here are as many as the picture has tokens, and what else the family's processor adds.
  /// @throws Error unless there is one placeholder for each picture
  virtual std::string expand_placeholders(const std::string& text, const ImageBatch& pictures) const;
  /// How the family is asked about pictures where no chat template says it: a text for expand_placeholders(), with a
  /// placeholder for each picture where the text has places for them.
  virtual std::string question_prompt(const std::string& question, int64_t pictures) const;
  /// The same for a caption: the question for one, unless the family has another way.
  /// @throws Error where it has no captions in this language
  virtual std::string caption_prompt(const CaptionLanguage& language, int64_t pictures) const;
  /// The tokens of an expanded prompt, with the special ones that the family's processor puts around it, and where in
  /// the prompt each of them stands. @throws Error where the tokenizer has no token for a picture's places
  virtual Encoding prompt_ids(const std::string& prompt, const Tokenizer& tokenizer) const;
  /// The places in a picture that an answer names, where the family was asked for places and not for words.
  /// @param question       as it was given to question_prompt()
  /// @param written        what was answered, special tokens included
  /// @param width, height  of the picture as it was given
  virtual std::optional<std::vector<PictureRegion>> regions(const std::string& question, const std::string& written,
                                                            int64_t width, int64_t height) const;
  /// The token vectors of the texts with their pictures. @throws Error where places and pictures do not match
  virtual Tokens join(const std::vector<Tensor>& pictures, const TextBatch& text);
  /// Joins pictures that are encoded already with the texts. Where the language model reads a source first (T5, BART),
  /// what was joined is the source and becomes part of the state, and the tokens are the one that its decoder begins
  /// with.
  virtual MultimodalPrompt begin(const std::vector<Tensor>& pictures, const TextBatch& text);
  /// Encodes and joins.
  MultimodalPrompt begin(const MultimodalBatch& batch) { return begin(picture_tokens(batch), batch.text); }

  /// The logits of all positions of the joined sequences, B x L x vocabulary.
  Tensor forward(const MultimodalBatch& batch);
  using LanguageModel::forward;

  Tensor embed(const Tensor& ids) override { return language_->embed(ids); }
  Tokens hidden(const Tokens& embedded, LanguageState* state) override { return language_->hidden(embedded, state); }
  Tensor logits(const Tensor& hidden) override { return language_->logits(hidden); }
  LanguageState start() const override { return language_->start(); }
  bool outgrown(int64_t seen, int64_t length) const override { return language_->outgrown(seen, length); }
  int64_t width() const override { return language_->width(); }
  int64_t vocabulary() const override { return language_->vocabulary(); }
  int64_t context() const override { return language_->context(); }

  Encoder& encoder() const { return *encoder_; }
  Bridge& bridge() const { return *bridge_; }
  LanguageModel& language() const { return *language_; }
  const VisionLanguageOptions& options() const { return options_; }

 protected:
  /// The places of pictures in a prompt before they are expanded; none where pictures stand before the text.
  std::string places(int64_t pictures) const;
  /// The text without its placeholders.
  std::string without_places(std::string text) const;
  /// prompt_ids() where special tokens stand between the places, which come first, and the words.
  Encoding ids_behind_places(const std::string& prompt, const Tokenizer& tokenizer) const;
  /// For a family whose captions are English. @throws Error for another language
  static void english_alone(const CaptionLanguage& language);
  /// The text with each placeholder replaced by what `around` makes of as many as its picture has tokens.
  std::string replace_each(const std::string& text, const ImageBatch& pictures,
                           const std::function<std::string(const std::string& places)>& around) const;
  /// Pixels N x C x H x W (and which are real, or undefined) through the encoder and the bridge: N x M x width.
  Tokens bridged(const Tensor& pixels, const Tensor& real, const TextBatch& instruction);

 private:
  VisionLanguageOptions options_;
  std::shared_ptr<Encoder> encoder_;
  std::shared_ptr<Bridge> bridge_;
  std::shared_ptr<LanguageModel> language_;
};

/// How many pictures there are; those of a batch with tiles count once.
int64_t picture_count(const ImageBatch& pictures);

/// Builds a vision-language model from any parts: {"encoder": {"kind": ...}, "bridge": ..., "language": ...} and
/// VisionLanguageOptions beside them. @throws Error
std::shared_ptr<VisionLanguage> make_vision_language(const Json& options, const std::string& where);

/// Goes on with each prompt of the batch; see generate() of a language model.
Tensor generate(VisionLanguage& model, const MultimodalBatch& batch, const GenerateOptions& options);

}  // namespace tessera
