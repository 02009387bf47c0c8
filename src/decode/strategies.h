#pragma once
#include "core/random.h"
#include "decode/continuation.h"
#include "decode/processors.h"

namespace tessera {

/// What all ways of decoding are given.
struct Task {
  LanguageModel& model;
  const Prompt& prompt;
  LanguageState& state;
  const GenerateOptions& options;
  const GenerateHooks& hooks;
  std::vector<int64_t> room;  ///< of each prompt: how many tokens its context has left

  bool interrupted() const { return hooks.interrupted && hooks.interrupted(); }
  bool ends(int64_t id) const;
  uint64_t seed(int64_t prompt_row) const;
};

std::vector<Generated> decode_by_token(const Task& task);        ///< greedy and sampling: sample.cpp
std::vector<Generated> decode_by_beams(const Task& task);        ///< beam_search.cpp
std::vector<Generated> decode_by_contrast(const Task& task);     ///< contrastive.cpp
std::vector<Generated> decode_by_speculation(const Task& task);  ///< speculative.cpp

/// One text while it grows: what its next token may be, and whether it has ended.
class Text {
 public:
  /// @param row     what the hooks call it
  /// @param prompt  the row of the prompt that it continues
  Text(const Task& task, int64_t row, int64_t prompt);
  Text(const Text& other);
  Text& operator=(const Text& other);

  /// Logits to what is left of them: processed and constrained.
  std::vector<float> scores(std::span<const float> logits, const ProcessorChain& chain) const;
  /// Takes a token, and tells on_token where `certain`.
  void push(int64_t id, double log_probability, bool certain = true);
  bool ended() const { return ended_; }
  void end(Finish finish) { ended_ = true, result.finish = finish; }
  TextSoFar so_far() const { return {ids_, prompt_length_}; }
  int64_t made() const { return static_cast<int64_t>(ids_.size() - prompt_length_); }
  int64_t row() const { return row_; }

  Generated result;

 private:
  const Task* task_;
  int64_t row_, room_;
  std::vector<int64_t> ids_;
  size_t prompt_length_;
  Constraint::State place_ = 0;
  std::unique_ptr<Watcher> watcher_;
  bool ended_ = false;
};

/// The first of the largest scores. @throws Error when all are -infinity
int64_t likeliest(std::span<const float> scores);

/// softmax(scores) in double. @throws Error when all are -infinity
std::vector<double> probabilities(std::span<const float> scores);

/// An index drawn by weights that sum to `sum`.
int64_t draw(std::span<const double> weights, double sum, Random& random);

}  // namespace tessera
