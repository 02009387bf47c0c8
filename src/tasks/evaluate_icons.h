#pragma once
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "models/model.h"

namespace tessera {

/// The evaluation of the default model: pictures of `tessera data icons` that were never trained on, named among the
/// names of all symbols, and found by their names.

struct IconEvaluationOptions {
  std::filesystem::path data = "data/icons";  ///< shards and names.jsonl
  std::vector<std::string> languages;         ///< for text-to-image; empty: trained_languages(). English is always in
};

/// One method on one test set. Shares are from 0 to 1.
struct IconRow {
  std::string method;  ///< "chance", "pixels", "hog" or "model"
  std::string style;   ///< "fluent-emoji-flat"; "training styles" for the symbols held out from them
  bool seen = true;    ///< symbols that occur in training, or those held out
  int64_t pictures = 0;
  int64_t candidates = 0;                  ///< different English names of all symbols, seen and unseen
  double top1 = 0, top5 = 0;               ///< a picture among the candidates
  std::map<std::string, double> recall10;  ///< language -> a name finds a picture of it among the first ten of the set;
                                           ///< empty where a method reads no text
};

/// The languages that a model was trained with, by the recipe.json of its folder; English alone without one.
std::vector<std::string> trained_languages(const Model& model);

/// All methods on all test sets. Skin tones are left out; pictures lie on white.
/// @throws Error when the data is missing or the model is no dual encoder with tokenizer and processor
std::vector<IconRow> evaluate_icons(const Model& model, const IconEvaluationOptions& options);

/// Mean of the recalls in all languages but English; -1 where there is none.
double mean_of_other_languages(const IconRow& row);

}  // namespace tessera
