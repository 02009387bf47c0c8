#pragma once
#include "decode/generate.h"

namespace tessera::testing {

/// A language model whose next token depends on the last one alone, by a table of logits: all that decoding makes of it
/// can be counted out.
class Markov : public LanguageModel {
 public:
  /// @param table  V x V, row: the last token
  explicit Markov(Tensor table) : table_(std::move(table)) {}
  static std::shared_ptr<Markov> random(int64_t vocabulary, uint64_t seed, double spread = 1.5) {
    at::manual_seed(seed);
    return std::make_shared<Markov>(spread * torch::randn({vocabulary, vocabulary}));
  }

  Tensor embed(const Tensor& ids) override { return torch::one_hot(ids, vocabulary()).to(torch::kFloat32); }
  Tokens hidden(const Tokens& embedded, LanguageState* state) override {
    ++passes;
    return with_positions(embedded, state);
  }
  Tensor logits(const Tensor& hidden) override { return torch::matmul(hidden, table_); }
  LanguageState start() const override { return {}; }
  int64_t width() const override { return table_.size(0); }
  int64_t vocabulary() const override { return table_.size(0); }
  int64_t context() const override { return length; }

  /// log p(next | last).
  double log_probability(int64_t last, int64_t next) const {
    return torch::log_softmax(table_.to(torch::kFloat64), -1)[last][next].item<double>();
  }

  int64_t length = 64;
  int64_t passes = 0;

 private:
  Tensor table_;
};

inline TextBatch one_token(int64_t id, int64_t batch = 1) {
  return {torch::full({batch, 1}, id, torch::kInt64), {}, {}};
}

inline std::vector<Generated> decoded(LanguageModel& model, const TextBatch& text, const GenerateOptions& options,
                                      const GenerateHooks& hooks = {}) {
  LanguageState state = model.start();
  return decode(model, text_prompt(model, text), state, options, hooks);
}

/// Sum of (seen - expected)^2 / expected over the kinds of events that are expected at all.
inline double chi_square(const std::vector<double>& seen, const std::vector<double>& probability, double events) {
  double sum = 0;
  for (size_t i = 0; i < seen.size(); ++i) {
    const double expected = probability[i] * events;
    if (expected > 0) sum += (seen[i] - expected) * (seen[i] - expected) / expected;
  }
  return sum;
}

/// What chi_square() hardly ever exceeds where the probabilities are right: its mean and five deviations.
inline double chi_square_bound(double kinds) { return kinds - 1 + 5 * std::sqrt(2 * (kinds - 1)); }

}  // namespace tessera::testing
