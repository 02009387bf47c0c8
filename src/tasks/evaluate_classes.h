#pragma once
#include "data/pictures.h"
#include "encoders/classifier.h"
#include "models/model.h"

namespace tessera {

/// How well pictures are put into classes. Shares are from 0 to 1.
struct ClassScore {
  int64_t pictures = 0;
  double top1 = 0, top5 = 0;
  double loss = 0;  ///< mean cross-entropy in nats
};

/// Pictures of known classes that nobody was trained on: seen symbols, skin tones apart.
class ClassTest {
 public:
  /// @param shards  see Pictures::read()
  /// @param by      "group" or "name": see class_of()
  /// @param labels  names of the classes; pictures of others are left out
  /// @param limit   this many pictures, evenly spread; 0: all
  /// @throws Error when the data is missing or no picture is left
  ClassTest(const std::vector<std::string>& shards, const std::string& by, const std::vector<std::string>& labels,
            int64_t limit, const ImageProcessor& processor);

  /// Scores a classifier with these classes, which is put into eval mode, without gradient.
  ClassScore run(ImageClassifier& model) const;
  /// The part of the commonest class, which is what whoever always says it reaches.
  double majority() const;

 private:
  std::vector<Tensor> pixels_;  // 3 x H x W each
  Tensor truth_;                // pictures, int64
};

struct ClassEvaluationOptions {
  std::vector<std::string> data = {"data/icons/fluent-emoji-flat-*.tar"};  ///< see Pictures::read()
  std::string by = "group";                                                ///< see class_of()
  int64_t limit = 0;  ///< this many pictures, evenly spread; 0: all
};

struct ClassEvaluation {
  ClassScore model;
  double majority = 0;  ///< see ClassTest
  int64_t classes = 0;
};

/// @throws Error when the data is missing, or the model has no named classes of its own
ClassEvaluation evaluate_classes(const Model& model, const ClassEvaluationOptions& options);

}  // namespace tessera
