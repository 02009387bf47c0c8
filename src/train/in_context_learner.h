#pragma once
#include "language/language_model.h"
#include "train/model_learner.h"

namespace tessera {

/// The ids of characters: '.' (padding), 'a' ... 'r' and '|'.
constexpr int64_t kAutomatonVocabulary = 20;

/// In-context language learning (Akyürek et al., 2024): a language model learns from nothing to continue the words of
/// languages that it infers from the text before. The loss leaves out separators and padding. What a step reads
/// follows from the recipe's seed and the step alone.
class InContextLearner : public ModelLearner {
 public:
  /// @throws Error, also for a model that is no language model
  explicit InContextLearner(Recipe& recipe);

  void begin(int64_t) override {}
  bool evaluates() const override { return recipe_.evaluation.every > 0; }
  /// {"unseen languages": {"legal": ..., "distance": ...}}, see InContextScore
  Scores evaluate(const NamedTensors& averages, double& main) override;
  void save_model_folder(const NamedTensors& averages, const std::filesystem::path& folder) const override;
  Module& module() const override { return *model_; }

 protected:
  Tensor loss_of(int64_t micro) override;
  /// Among others the same scores of n-gram learners, under "baselines".
  Json data_summary() const override;

 private:
  struct Test {
    std::string text;
    Tensor wanted, places;  // see score_in_context()
  };
  void read_tests();
  std::vector<std::string> texts(int64_t micro) const;
  Json config() const;
  std::shared_ptr<LanguageModel> make() const;

  const InContextOptions options_;
  std::vector<Transitions> languages_;
  std::vector<Test> tests_;
  std::shared_ptr<LanguageModel> model_, averaged_;
};

}  // namespace tessera
