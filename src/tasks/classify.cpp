#include "tasks/classify.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <numeric>

#include "encoders/classifier.h"
#include "tasks/labels.h"

namespace tessera {
PictureClassifier::PictureClassifier(const Model& model, const ClassifyOptions& options) : model_(model) {
  processor_of(model_);
  if (auto* classifier = dynamic_cast<ImageClassifier*>(model_.module.get())) {
    if (!options.labels.empty())
      throw Error("the model chooses among its own classes", "--labels", "leave it out, or give a dual encoder");
    labels_ = classifier->labels;
    logits_ = [classifier](const Tensor& pixels) { return classifier->forward(pixels); };
    return;
  }
  auto& dual = model_.as<DualEncoder>("classify pictures");
  if (options.labels.empty())
    throw Error("the model has no classes of its own", model_.folder.string(), "give --labels or --labels-file");
  logits_ = [vectors = encode_labels(options), &dual](const Tensor& pixels) {
    return dual.logits(dual.encode_image(pixels), vectors);
  };
}

Tensor PictureClassifier::encode_labels(const ClassifyOptions& options) {
  labels_ = options.labels;
  std::vector<std::string> prompts;
  for (const auto& label : labels_)
    for (const auto& prompt : fill_templates(label, options.templates)) prompts.push_back(prompt);
  const Tensor vectors = unit(TextEmbedder(model_).embed(prompts, options.text));
  const auto count = static_cast<int64_t>(labels_.size());
  return unit(vectors.view({count, -1, vectors.size(1)}).mean(1));  // labels x D
}

Tensor PictureClassifier::probabilities(const Tensor& pixels) const {
  const torch::NoGradGuard no_gradient;
  return check_finite(model_, logits_(pixels).to(torch::kFloat32).softmax(-1));
}

std::vector<LabelScore> PictureClassifier::best(const Tensor& row, int64_t top) const {
  return best_labels(labels_, row, top);
}

std::vector<LabelScore> best_labels(const std::vector<std::string>& labels, const Tensor& row, int64_t top) {
  std::vector<LabelScore> results;
  for (const auto& [index, score] : best_of(row, top)) {
    const auto i = static_cast<size_t>(index);
    results.push_back({i < labels.size() ? labels[i] : "class " + std::to_string(index), score});
  }
  return results;
}

std::vector<std::pair<int64_t, float>> best_of(const Tensor& scores, int64_t top) {
  const Tensor values = scores.to(torch::kCPU, torch::kFloat32).contiguous();
  const float* at = values.data_ptr<float>();
  std::vector<int64_t> order(static_cast<size_t>(values.numel()));
  std::iota(order.begin(), order.end(), int64_t{0});
  const auto count = std::min(order.size(), static_cast<size_t>(std::max<int64_t>(top, 0)));
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end(),
                    [at](int64_t a, int64_t b) { return at[a] != at[b] ? at[a] > at[b] : a < b; });
  std::vector<std::pair<int64_t, float>> best;
  for (size_t i = 0; i < count; ++i) best.emplace_back(order[i], at[order[i]]);
  return best;
}

double six_digits(float score) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", static_cast<double>(score));
  return std::strtod(text, nullptr);
}

}  // namespace tessera
