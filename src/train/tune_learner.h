#pragma once
#include <memory>
#include <optional>

#include "train/learner.h"
#include "train/tune_batches.h"
#include "tune/adapter.h"
#include "tune/prompted.h"

namespace tessera {

/// Tunes a published language model, with or without eyes, on conversations: next-token loss over the answers alone,
/// the mean over all learned tokens of a step. The model stays in eval mode and keeps every byte; what is learned is an
/// adapter, and it alone is saved, as a PEFT folder.
class TuneLearner : public Learner {
 public:
  /// Reads model and data. @throws Error, also for models that cannot be tuned so
  explicit TuneLearner(Recipe& recipe);

  NamedTensors trained() const override { return weights(); }
  NamedTensors tensors() const override;
  NamedTensors weights() const override;
  void begin(int64_t step) override;
  double step(int64_t number) override;
  bool evaluates() const override { return validation_ && recipe_.evaluation.every > 0; }
  /// {"validation": {"accuracy": of the next token, "loss": in nats}}
  Scores evaluate(const NamedTensors& averages, double& main) override;
  /// The same of the model without what is learned.
  Scores evaluate_base();
  void save_model_folder(const NamedTensors& averages, const std::filesystem::path& folder) const override;
  Module& module() const override { return *base_.module; }

  /// Whether several examples share a row.
  bool packs() const { return packs_; }

 protected:
  Json data_summary() const override;

 private:
  void attach();
  std::unique_ptr<TuneBatches> read(const std::vector<std::string>& files, int64_t capacity) const;
  bool can_pack() const;
  /// The logits of the tokens that are learned, N x vocabulary, float32, and what they should be.
  std::pair<Tensor, Tensor> read(LanguageModel& model, const TuneBatch& batch) const;
  Scores score(LanguageModel& model) const;
  void train(bool on);

  const TuneOptions options_;
  Model base_;
  VisionLanguage* vision_ = nullptr;
  int64_t length_ = 0;  // of a row
  bool packs_ = false;
  std::optional<Adapter> adapter_;
  std::shared_ptr<Prompted> prompted_;  // where tokens are added instead
  LanguageModel* model_ = nullptr;      // what predicts
  std::unique_ptr<TuneBatches> data_, validation_;
  std::unique_ptr<Prefetcher<TuneBatch>> batches_;
};

}  // namespace tessera
