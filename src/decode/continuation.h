#pragma once
#include <span>

#include "decode/generate.h"
#include "decode/recorded_step.h"

namespace tessera {

/// A batch of texts in the hands of a language model: what it has read, and the scores of what comes next. All ways of
/// decoding stand on it: the prompt is read when it is made, and each call of advance() costs one pass over the
/// weights.
class Continuation {
 public:
  /// @param state        continued; see decode()
  /// @param keep_hidden  hidden states of all tokens are kept, for contrastive search
  /// @param most         how many tokens will come at most
  Continuation(LanguageModel& model, LanguageState& state, const Prompt& prompt, int64_t most,
               bool keep_hidden = false);

  int64_t rows() const { return logits_.size(0); }
  /// The logits of the next token of a row: vocabulary numbers, valid until the next call that is not const.
  std::span<const float> logits(int64_t row) const;
  /// R x D: the hidden states of the last tokens.
  const Tensor& hidden() const { return hidden_; }
  /// B x L x D of the prompt, with keep_hidden.
  const Tensor& prompt_hidden() const { return prompt_hidden_; }

  /// One more token for each row; rows that have ended stay where they are.
  void advance(const std::vector<int64_t>& ids, const std::vector<bool>& ended = {});
  /// Row i goes on from what row rows[i] was.
  void select(const std::vector<int64_t>& rows);
  /// Several tokens of a single row at once. @return the logits behind each of them, K x vocabulary
  Tensor advance_all(const std::vector<int64_t>& ids);
  /// Forgets the last tokens, after which only advance_all() tells what comes next.
  void rewind(int64_t tokens);

 private:
  void read(const Tokens& tokens);
  bool read_recorded(const Tensor& next, const std::vector<bool>& ended);
  void stop_recording();
  void read_in_pieces(const Tokens& tokens);
  void begin_anew(int64_t next);

  LanguageModel& model_;
  LanguageState& state_;
  Tokens prompt_;             // as it was given, where the model may have to begin anew
  Tensor origin_;             // R: which row of the prompt
  std::vector<Tensor> made_;  // R each, likewise
  bool may_outgrow_ = false;
  std::unique_ptr<RecordedStep> recorded_;  // null: the device has none, or it is too early
  int64_t left_, singly_ = 0;               // tokens that may come; those that came one by one, without another call
  Tensor logits_, hidden_, prompt_hidden_;
};

/// The log-probability of one token, in double.
double log_probability(std::span<const float> scores, int64_t id);

}  // namespace tessera
