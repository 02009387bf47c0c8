#pragma once
#include "encoders/classifier.h"
#include "encoders/ssast.h"
#include "models/model.h"
#include "train/model_learner.h"
#include "train/sounds.h"

namespace tessera {

/// What the two tasks on sounds have in common. `model` of the recipe is a config.json of SSAST or AST; which sounds a
/// step reads, and what is masked, follows from the recipe's seed and the step alone.
class SoundLearner : public ModelLearner {
 public:
  void begin(int64_t) override {}
  bool evaluates() const override { return test_.pictures.defined() && recipe_.evaluation.every > 0; }
  void save_model_folder(const NamedTensors& averages, const std::filesystem::path& folder) const override;
  Module& module() const override { return *model_.module; }

 protected:
  /// Reads the data. @throws Error
  explicit SoundLearner(Recipe& recipe);
  void build(const Json& config);
  Tensor loss_of(int64_t micro) override;
  Json data_summary() const override;
  /// The loss of these rows of the training data, which are those of a micro-batch.
  virtual Tensor loss_of_rows(const Tensor& rows, int64_t micro) = 0;

  const SoundOptions options_;
  Spectrograms train_, test_;
  Model model_, averaged_;
};

/// Masked pre-training on sounds without labels.
class SoundPretrainingLearner : public SoundLearner {
 public:
  explicit SoundPretrainingLearner(Recipe& recipe);
  /// {"unseen sounds": {"picked": share of masked patches picked rightly, "loss": of both tasks}}, with fixed masks
  Scores evaluate(const NamedTensors& averages, double& main) override;

 private:
  struct Losses {
    Tensor sum, picked;
  };
  Losses losses(SpectrogramPretraining& model, const Tensor& pictures, Random& random) const;
  Tensor loss_of_rows(const Tensor& rows, int64_t micro) override;

  SpectrogramPretraining* pretraining_ = nullptr;
  int64_t rows_ = 0, columns_ = 0;
};

/// A classifier of sounds, whose encoder begins as that of the recipe's base where there is one.
class SoundClassifierLearner : public SoundLearner {
 public:
  explicit SoundClassifierLearner(Recipe& recipe);
  /// {"unseen sounds": {"top1": ..., "loss": ...}}
  Scores evaluate(const NamedTensors& averages, double& main) override;

 private:
  void begin_from(const Model& base);
  Tensor loss_of_rows(const Tensor& rows, int64_t micro) override;

  ImageClassifier* classifier_ = nullptr;
};

/// The learner of recipe.sounds->task. @throws Error
std::unique_ptr<SoundLearner> make_sound_learner(Recipe& recipe);

}  // namespace tessera
