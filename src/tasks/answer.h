#pragma once
#include <string>
#include <vector>

#include "models/model.h"
#include "vlm/talker.h"

namespace tessera {

/// What a talker says of a picture.
struct Answer {
  std::string text;
  double log_probability = 0;  ///< of the answer and its end, given picture and question
};

/// How texts are put together for this talker. @throws Error where the tokenizer lacks a special token
TalkerFormat format_of(const Talker& talker, const Tokenizer& tokenizer);

/// Answers questions about pictures, a block of them at a time.
class Answerer {
 public:
  Answerer(Talker& talker, const Tokenizer& tokenizer);

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
};

}  // namespace tessera
