#pragma once
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/options.h"

namespace tessera {

/// One of the things that a study compares.
struct StudyVariant {
  std::string name;           ///< of its row, and in lower case of its run folders
  std::string recipe;         ///< a file, relative to the study's; empty: the study's
  Json set = Json::object();  ///< what the recipe has other values of: {"model.mixer": {"kind": "mamba"}}
  bool listed = true;         ///< false: others build on it, and the table leaves it out
};
TESSERA_OPTIONS(StudyVariant, name, recipe, set, listed)

/// Variants of a recipe, each trained with several seeds. Texts of a recipe may hold {seed} and {runs}, the folder of
/// all runs, so that a variant can build on the model of one before it: "{runs}/pretrained-{seed}/model".
struct StudyOptions {
  std::string recipe;
  std::vector<StudyVariant> variants;
  std::vector<int64_t> seeds = {0, 1, 2};
};
TESSERA_OPTIONS(StudyOptions, recipe, variants, seeds)

/// What the runs of a variant found.
struct StudyRow {
  std::string name;
  std::map<std::string, std::vector<double>> measures;  ///< of each seed that is trained: "en top1"
  double parameters = 0, seconds = 0;                   ///< 0: not known; of one run
};

/// Trains what a study names and is not trained yet, seed by seed, so that all variants have their first seed early.
class Study {
 public:
  /// Reads the study and checks every recipe. @throws Error
  Study(const std::filesystem::path& file, std::filesystem::path runs);

  /// Goes on with every run that is not finished. @return false where a signal, or `stop`, ended it before all were
  /// @throws Error naming the run
  bool run(const std::function<bool(int64_t)>& stop = {});

  /// What is trained by now: the listed variants, then what the runs were compared with.
  std::vector<StudyRow> rows() const;
  const std::filesystem::path& runs() const { return runs_; }

 private:
  Json recipe_of(const StudyVariant& variant, int64_t seed) const;
  std::filesystem::path folder_of(const StudyVariant& variant, int64_t seed) const;

  std::filesystem::path file_, runs_;
  StudyOptions options_;
};

/// "71.3 ± 0.8" per cent, or for what is no part of a whole "0.412 ± 0.010": mean and sample deviation; one value has
/// no deviation, and none is "-".
std::string mean_and_deviation(const std::vector<double>& values, bool part);

}  // namespace tessera
