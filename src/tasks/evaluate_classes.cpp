#include "tasks/evaluate_classes.h"

#include <algorithm>

#include "core/error.h"
#include "metrics/zero_shot.h"
#include "tasks/embed.h"

namespace tessera {
namespace {

constexpr size_t kBlock = 256;

}  // namespace

ClassTest::ClassTest(const std::vector<std::string>& shards, const std::string& by,
                     const std::vector<std::string>& labels, int64_t limit, const ImageProcessor& processor) {
  Pictures pictures;
  pictures.read(shards);
  std::vector<int64_t> truth;
  for (const size_t i : pictures.to_test(limit)) {
    const Picture& picture = pictures.pictures[i];
    const std::string name = class_of(pictures.concepts[static_cast<size_t>(picture.concept_index)], by);
    const auto label = std::find(labels.begin(), labels.end(), name);
    if (label == labels.end()) continue;
    truth.push_back(label - labels.begin());
    pixels_.push_back(processor(on_white(picture.pixels)).pixel_values.select(0, 0));
  }
  if (truth.empty())
    throw Error("no picture has one of the " + std::to_string(labels.size()) + " classes as its " + by,
                shards.empty() ? "shards" : shards.front(), "take pictures with the classes that were trained");
  truth_ = torch::tensor(truth, torch::kInt64);
}

ClassScore ClassTest::run(ImageClassifier& model) const {
  const torch::NoGradGuard no_gradient;
  model.eval();
  std::vector<Tensor> blocks;
  for (size_t begin = 0; begin < pixels_.size(); begin += kBlock) {
    const auto first = pixels_.begin() + static_cast<std::ptrdiff_t>(begin);
    const std::vector<Tensor> block(first,
                                    first + static_cast<std::ptrdiff_t>(std::min(kBlock, pixels_.size() - begin)));
    blocks.push_back(model.forward(torch::stack(block)).to(torch::kCPU, torch::kFloat32));
  }
  const Tensor logits = torch::cat(blocks), ranks = true_ranks(logits, truth_);
  return {truth_.size(0), accuracy_at(ranks, 1), accuracy_at(ranks, 5),
          torch::cross_entropy_loss(logits, truth_).item<double>()};
}

double ClassTest::majority() const {
  return torch::bincount(truth_).max().item<double>() / static_cast<double>(truth_.size(0));
}

ClassEvaluation evaluate_classes(const Model& model, const ClassEvaluationOptions& options) {
  auto& classifier = model.as<ImageClassifier>("be measured by its classes");
  if (classifier.labels.empty())
    throw Error("has no names for its classes", model.folder.string(), "give a model that `tessera train` made");
  const ClassTest test(options.data, options.by, classifier.labels, options.limit, processor_of(model));
  return {test.run(classifier), test.majority(), static_cast<int64_t>(classifier.labels.size())};
}

}  // namespace tessera
