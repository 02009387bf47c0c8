#include "train/supernet_learner.h"

#include "core/error.h"

namespace tessera {

ResnasSupernet& supernet_of(ImageClassifier& model) {
  auto* supernet = dynamic_cast<ResnasSupernet*>(&model.encoder());
  if (!supernet) throw Error("is no super-network", "model.encoder", "give {\"kind\": \"vit-resnas-supernet\", ...}");
  return *supernet;
}

SupernetLearner::SupernetLearner(Recipe& recipe)
    : ClassifyLearner(recipe),
      supernet_(supernet_of(dynamic_cast<ImageClassifier&>(module()))),
      pictures_(summary().at("pictures").get<int64_t>()),
      batch_(recipe.batch * recipe.accumulate) {}

int64_t SupernetLearner::epoch_of(int64_t step) const { return step * batch_ / pictures_; }

double SupernetLearner::step(int64_t number) {
  step_ = number;
  supernet_.epoch = epoch_of(number);
  return ClassifyLearner::step(number);
}

void SupernetLearner::bound() {
  const int64_t next = epoch_of(step_ + 1);
  if (next != epoch_of(step_) && next <= supernet_.options().num_warmup_epochs) supernet_.sort_channels();
}

}  // namespace tessera
