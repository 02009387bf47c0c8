#pragma once
#include "encoders/resnas_supernet.h"
#include "train/classify_learner.h"

namespace tessera {

/// The super-network of a classifier. @throws Error where its encoder is none
ResnasSupernet& supernet_of(ImageClassifier& model);

/// Trains a super-network as a classifier: every batch is divided among sub-networks. It counts epochs for the warm-up
/// of the widths, and sorts the channels at the beginning of each until the warm-up has ended. (The optimizer's moments
/// keep their places, as with the authors.)
class SupernetLearner : public ClassifyLearner {
 public:
  /// @throws Error, also for an encoder that is no super-network
  explicit SupernetLearner(Recipe& recipe);

  double step(int64_t number) override;
  void bound() override;
  Json metrics() const override { return {{"epoch", supernet_.epoch}}; }

 private:
  int64_t epoch_of(int64_t step) const;

  ResnasSupernet& supernet_;
  int64_t pictures_, batch_;  // of an epoch, of a step
  int64_t step_ = 0;
};

}  // namespace tessera
