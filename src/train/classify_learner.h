#pragma once
#include <memory>

#include "tasks/evaluate_classes.h"
#include "train/model_learner.h"
#include "train/picture_sampler.h"

namespace tessera {

/// Learns an image classifier: any encoder with a linear layer behind a pool, by cross-entropy.
class ClassifyLearner : public ModelLearner {
 public:
  /// Reads the data; what it shows has the classes. @throws Error
  explicit ClassifyLearner(Recipe& recipe);

  void begin(int64_t step) override;
  bool evaluates() const override { return test_ != nullptr; }
  Scores evaluate(const NamedTensors& averages, double& main) override;
  void save_model_folder(const NamedTensors& averages, const std::filesystem::path& folder) const override;
  Module& module() const override { return *model_; }

 protected:
  Tensor loss_of(int64_t micro) override;
  Json data_summary() const override;

 private:
  struct Batch {
    Tensor pixels;   // B x 3 x H x W, normalised
    Tensor classes;  // B, int64
  };
  std::vector<std::string> read_classes();
  Batch make(int64_t number) const;

  TrainingPictures data_;
  std::vector<int64_t> class_of_;  // per concept; -1: none
  Json options_;                   // of the classifier
  std::unique_ptr<PictureSampler> sampler_;
  std::shared_ptr<ImageClassifier> model_, averaged_;
  std::unique_ptr<ClassTest> test_;
  std::unique_ptr<Prefetcher<Batch>> batches_;
};

}  // namespace tessera
