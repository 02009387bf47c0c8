#pragma once
#include <optional>
#include <string>
#include <vector>

#include "models/model.h"
#include "vlm/talker.h"

namespace tessera {

/// What a model says, of a picture or in a conversation.
struct Answer {
  std::string text;
  double log_probability = 0;  ///< of the answer and its end, given all that stands before it
  /// Where places in the picture were asked for; the text has a line for each of them.
  std::optional<std::vector<PictureRegion>> regions = {};
};

/// What is asked of a picture.
struct PictureRequest {
  std::string question = "";  ///< in words
  std::string caption = "";   ///< the tag of the language ("de") in which a caption is wanted in place of an answer
};

/// Answers requests about pictures, whatever the model is.
class PictureAnswerer {
 public:
  virtual ~PictureAnswerer() = default;
  /// The likeliest words, greedily: an answer for each picture.
  /// @throws Error where the model cannot do what is asked, or the request leaves no room for an answer
  virtual std::vector<Answer> answer(const ImageBatch& pictures, const PictureRequest& request) = 0;
  /// Whether several pictures at a time are answered faster than one after the other.
  virtual bool takes_batches() const = 0;
};

/// A talker answers in its own way; any other vision-language model by the chat template that its folder ships, and
/// without one by the prompts of its family.
/// @param max_new_tokens  of an answer; none: what the model's folder says
/// @throws Error for a model that does not talk about pictures, or lacks tokenizer or processor
std::unique_ptr<PictureAnswerer> picture_answerer(const Model& model, std::optional<int64_t> max_new_tokens = {});

/// How texts are put together for this talker. @throws Error where the tokenizer lacks a special token
TalkerFormat format_of(const Talker& talker, const Tokenizer& tokenizer);

/// Answers questions about pictures by a talker, a block of them at a time.
class Answerer {
 public:
  /// @param max_new_tokens  of an answer; none: half of the talker's context
  Answerer(Talker& talker, const Tokenizer& tokenizer, std::optional<int64_t> max_new_tokens = {});

  /// The likeliest words, greedily, one question for each picture.
  /// @param pixels  B x 3 x H x W, as the model's processor makes them
  std::vector<Answer> answer(const Tensor& pixels, const std::vector<std::string>& questions);

 private:
  TextBatch batch(const std::vector<std::string>& questions) const;
  /// Tokens; half of the context, so that the other questions of a batch do not change it.
  int64_t longest_answer() const { return talker_.context() / 2; }

  Talker& talker_;
  const Tokenizer& tokenizer_;
  TalkerFormat format_;
  std::optional<int64_t> max_new_tokens_;
};

}  // namespace tessera
