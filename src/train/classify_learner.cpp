#include "train/classify_learner.h"

#include <algorithm>
#include <map>

#include "core/compat.h"
#include "core/error.h"
#include "layers/initial.h"
#include "train/ema.h"

namespace tessera {

ClassifyLearner::ClassifyLearner(Recipe& recipe)
    : ModelLearner(recipe, "pictures"), data_(read_training_pictures(recipe)) {
  options_ = recipe.model;
  const std::vector<std::string> labels = read_classes();
  options_["labels"] = labels;
  options_["classes"] = labels.size();
  sampler_ = std::make_unique<PictureSampler>(recipe_, data_.pictures, data_.sources);
  seed_torch(recipe_, Draw::kWeights);
  {
    const GlorotLinears initial;
    model_ = make_image_classifier(options_, "model");
  }
  model_->train();
  averaged_ = make_image_classifier(options_, "model");
  const auto& evaluation = recipe_.evaluation;
  if (evaluation.every > 0 && !evaluation.shards.empty())
    test_ = std::make_unique<ClassTest>(evaluation.shards, recipe_.classify, labels, evaluation.limit,
                                        *training_processor(recipe_.data));
}

/// The names of the classes in alphabetical order. Pictures without a class are drawn no more.
std::vector<std::string> ClassifyLearner::read_classes() {
  std::map<std::string, int64_t> numbers;
  for (const auto& item : data_.pictures.concepts)
    if (const std::string name = class_of(item, recipe_.classify); !name.empty()) numbers[name] = 0;
  std::vector<std::string> labels;
  for (auto& [name, number] : numbers) number = static_cast<int64_t>(labels.size()), labels.push_back(name);
  if (labels.size() < 2)
    throw Error("the pictures have no two classes by their " + recipe_.classify, "data.sources",
                "emoji and Fashion-MNIST have groups, icons have not");
  for (const auto& item : data_.pictures.concepts) {
    const auto number = numbers.find(class_of(item, recipe_.classify));
    class_of_.push_back(number == numbers.end() ? -1 : number->second);
  }
  for (auto& source : data_.sources) {
    std::erase_if(source, [&](int64_t i) {
      return class_of_[static_cast<size_t>(data_.pictures.pictures[static_cast<size_t>(i)].concept_index)] < 0;
    });
    if (source.empty()) throw Error("a source has no picture with a " + recipe_.classify, "data.sources");
  }
  return labels;
}

ClassifyLearner::Batch ClassifyLearner::make(int64_t number) const {
  const std::vector<int64_t> chosen = sampler_->choose(number);
  std::vector<int64_t> classes;
  for (const int64_t i : chosen)
    classes.push_back(class_of_[static_cast<size_t>(data_.pictures.pictures[static_cast<size_t>(i)].concept_index)]);
  return {sampler_->pixels(number, chosen), torch::tensor(classes, torch::kInt64)};
}

void ClassifyLearner::begin(int64_t step) {
  batches_ = prefetch<Batch>(step, [this](int64_t number) { return make(number); });
}

Tensor ClassifyLearner::loss_of(int64_t) {
  const Batch batch = batches_->next();
  const Autocast autocast(precision_of(recipe_));
  const Tensor logits = model_->forward(batch.pixels).to(torch::kFloat32);
  return torch::cross_entropy_loss(logits, batch.classes, {}, at::Reduction::Mean, -100,
                                   recipe_.objective.label_smoothing);
}

Scores ClassifyLearner::evaluate(const NamedTensors& averages, double& main) {
  copy_weights(averages, *averaged_);
  const ClassScore score = test_->run(*averaged_);
  main = score.top1;
  return {{recipe_.classify, {{"top1", score.top1}, {"top5", score.top5}, {"loss", score.loss}}}};
}

void ClassifyLearner::save_model_folder(const NamedTensors& averages, const std::filesystem::path& folder) const {
  Model model = make_model({{"model_type", "tessera-image-classifier"}, {"image_classifier", options_}}, "recipe");
  copy_weights(averages, *model.module);
  model.processor = training_processor(recipe_.data);
  save_model(model, folder, torch::kFloat32);
}

Json ClassifyLearner::data_summary() const {
  return {{"pictures", data_.pictures.pictures.size()}, {"classes", options_.at("classes")}};
}

}  // namespace tessera
