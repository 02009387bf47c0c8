#pragma once
#include "language/language_model.h"
#include "train/learner.h"

namespace tessera {

/// The ids of characters: '.' (padding), 'a' ... 'r' and '|'.
constexpr int64_t kAutomatonVocabulary = 20;

/// In-context language learning (Akyürek et al., 2024): a language model learns from nothing to continue the words of
/// languages that it infers from the text before. The loss leaves out separators and padding. What a step reads
/// follows from the recipe's seed and the step alone.
class InContextLearner : public Learner {
 public:
  /// @throws Error, also for a model that is no language model
  explicit InContextLearner(Recipe& recipe);

  int64_t steps() const override { return recipe_.steps; }
  NamedTensors trained() const override;
  NamedTensors tensors() const override;
  NamedTensors weights() const override;
  void begin(int64_t) override {}
  double step(int64_t number) override;
  double rate_factor(int64_t number) const override;
  std::pair<int64_t, std::string> items(int64_t number) const override;
  bool evaluates() const override { return recipe_.evaluation.every > 0; }
  /// {"unseen languages": {"legal": ..., "distance": ...}}, see InContextScore
  Scores evaluate(const NamedTensors& averages, double& main) override;
  void save_model_folder(const NamedTensors& averages, const std::filesystem::path& folder) const override;
  /// Among others the same scores of n-gram learners, under "baselines".
  Json summary() const override;
  Module& module() override { return *model_; }

 private:
  struct Test {
    std::string text;
    Tensor wanted, places;  // see score_in_context()
  };
  void read_tests();
  std::vector<std::string> texts(int64_t number) const;
  Json config() const;
  std::shared_ptr<LanguageModel> make() const;

  Recipe& recipe_;
  const InContextOptions options_;
  std::vector<Transitions> languages_;
  std::vector<Test> tests_;
  std::shared_ptr<LanguageModel> model_, averaged_;
};

}  // namespace tessera
