#pragma once
#include <map>
#include <string>
#include <vector>

#include "data/pictures.h"
#include "fusion/dual_encoder.h"
#include "metrics/zero_shot.h"
#include "train/captions.h"
#include "train/recipe.h"

namespace tessera {

/// What a model reaches in one language.
struct LanguageScore {
  double top1 = 0, top5 = 0;  ///< a picture among the names of all symbols, parts from 0 to 1
  double recall10 = 0;        ///< a name among the pictures: a picture of it is among the ten best
  int64_t pictures = 0, names = 0;
};

/// Zero-shot classification and retrieval over pictures that are never trained on. The pictures are decoded and shrunk
/// once.
class Evaluator {
 public:
  /// @throws Error when the shards or names cannot be read, or nothing is left to evaluate
  Evaluator(const Recipe& recipe, const Tokenize& tokenize, int64_t padding_id);

  /// Scores a model, which is put into eval mode, per language of the recipe.
  std::map<std::string, LanguageScore> run(DualEncoder& model, torch::ScalarType dtype) const;

 private:
  struct Names {
    std::vector<std::vector<int64_t>> tokens;  // per different name
    Tensor truth;                              // per picture with a name in this language: its name
    Tensor rows;                               // those pictures
  };
  Names names_in(const std::string& language, const Tokenize& tokenize) const;

  EvaluationOptions options_;
  int64_t padding_id_, context_;
  Pictures pictures_;
  Tensor pixels_;                  // B x 3 x H x W, uint8 grey levels
  std::vector<int64_t> concepts_;  // per picture
  std::vector<double> mean_, std_;
  std::map<std::string, Names> names_;
};

/// Features of many pictures or texts in blocks, without gradient, float32.
Tensor encode_all(DualEncoder& model, const Tensor& pixels, torch::ScalarType dtype);
Tensor encode_all(DualEncoder& model, const std::vector<std::vector<int64_t>>& texts, int64_t padding_id,
                  torch::ScalarType dtype);

}  // namespace tessera
