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
  std::string backbones;  ///< a list of backbones, relative to the study's file (see read_backbones()): each is a
                          ///< variant after the others, the "model" of a classifier
  double budget = 0;      ///< floating-point operations of a run, forward and back (see training_flops()): a classifier
                          ///< that needs less for a picture takes more steps. 0: the recipe says how many
  std::vector<int64_t> seeds = {0, 1, 2};
};
TESSERA_OPTIONS(StudyOptions, recipe, variants, backbones, budget, seeds)

/// What of a study is carried out and shown.
struct StudySelection {
  std::vector<std::string> only;  ///< names of variants; empty: all. What others build on is not left out
  int64_t seeds = 0;              ///< the first of its seeds; 0: all
};

/// What the runs of a variant found.
struct StudyRow {
  std::string name;
  std::map<std::string, std::vector<double>> measures;  ///< of each seed that is trained: "en top1"
  int64_t parameters = 0, steps = 0;                    ///< of one run; 0: not known
  double flops = 0;                                     ///< of training with one picture; 0: not known
  double seconds = 0;                                   ///< of one run; 0: not known
};

/// Trains what a study names and is not trained yet, seed by seed, so that all variants have their first seed early.
/// A run that was stopped goes on. Of a finished one the state goes and the model, its metrics and report stay.
class Study {
 public:
  /// Reads the study and checks every recipe. @throws Error
  Study(const std::filesystem::path& file, std::filesystem::path runs, const StudySelection& selection = {});

  /// Goes on with every run that is not finished. @return false where a signal, or `stop`, ended it before all were
  /// @throws Error naming the run, also where a finished one had another recipe
  bool run(const std::function<bool(int64_t)>& stop = {});

  /// What is trained by now: the listed variants, then what the runs were compared with.
  std::vector<StudyRow> rows() const;

 private:
  /// What is the same for all seeds of a variant.
  struct Budget {
    double flops = 0;   // of training with a picture
    int64_t steps = 0;  // that make up the budget; 0: as the recipe says
  };
  void add_backbones();
  void select(const StudySelection& selection);
  void check_names() const;
  Budget budget_of(const StudyVariant& variant) const;
  Json recipe_of(const StudyVariant& variant, int64_t seed) const;
  std::filesystem::path folder_of(const StudyVariant& variant, int64_t seed) const;
  bool train(const Json& recipe, const std::filesystem::path& folder, const std::function<bool(int64_t)>& stop) const;

  std::filesystem::path file_, runs_;
  StudyOptions options_;
  std::map<std::string, Budget> budgets_;  // of the variants by name, where the study has a budget
};

/// "71.3 ± 0.8" per cent, or for what is no part of a whole "0.412 ± 0.010": mean and sample deviation; one value has
/// no deviation, and none is "-".
std::string mean_and_deviation(const std::vector<double>& values, bool part);

}  // namespace tessera
