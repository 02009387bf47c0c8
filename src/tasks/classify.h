#pragma once
#include "tasks/embed.h"

namespace tessera {

struct LabelScore {
  std::string label;
  float score;  ///< probability
};

struct ClassifyOptions {
  std::vector<std::string> labels;     ///< what to choose among; empty for a model with classes of its own
  std::vector<std::string> templates;  ///< "a picture of {}"; several: the mean of their unit vectors (Radford et al.)
  TextEmbedOptions text;
};

/// Names pictures: a dual encoder by the labels it is given (zero-shot), an image classifier by its own classes.
class PictureClassifier {
 public:
  /// Encodes the labels. @throws Error when a dual encoder gets no labels or a classifier some
  PictureClassifier(const Model& model, const ClassifyOptions& options);

  /// B x 3 x H x W -> B x labels, probabilities.
  Tensor probabilities(const Tensor& pixels) const;
  /// The best `top` of one row of probabilities(), best first; of equal ones the first label.
  std::vector<LabelScore> best(const Tensor& row, int64_t top) const;

  const std::vector<std::string>& labels() const { return labels_; }
  const ImageProcessor& processor() const { return *model_.processor; }

 private:
  Tensor encode_labels(const ClassifyOptions& options);  // labels x D

  Model model_;
  std::vector<std::string> labels_;
  std::function<Tensor(const Tensor&)> logits_;
};

/// The `top` best scores, best first, as pairs of index and score; of equal ones the first.
std::vector<std::pair<int64_t, float>> best_of(const Tensor& scores, int64_t top);

/// The same with the names of classes, "class 7" for one without a name.
std::vector<LabelScore> best_labels(const std::vector<std::string>& labels, const Tensor& row, int64_t top);

/// A score with six significant digits, as JSON prints it.
double six_digits(float score);

}  // namespace tessera
