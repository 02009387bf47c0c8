#pragma once
#include <filesystem>

#include "tasks/backbones.h"
#include "train/recipe.h"

namespace tessera {

/// Trains several backbones as classifiers by one recipe, over several seeds, all with the same arithmetic: a backbone
/// that needs less for a picture sees more pictures.
struct ComparisonOptions {
  std::string name;  ///< of the recipe: part of the folders of its runs
  Json recipe;       ///< of a classifier, without "model", "steps" and "seed"
  std::vector<Backbone> backbones;
  int64_t seeds = 3;
  double budget = 0;             ///< floating-point operations of a run; see training_flops()
  std::filesystem::path folder;  ///< of all runs: folder / name / backbone / seed
};

/// A run that came to its end.
struct ComparedRun {
  int64_t seed = 0, steps = 0;
  double top1 = 0, loss = 0, seconds = 0;  ///< on the held-out pictures; seconds of training
};
TESSERA_OPTIONS(ComparedRun, seed, steps, top1, loss, seconds)

/// All runs of a backbone.
struct ComparedBackbone {
  std::string name;
  int64_t parameters = 0;  ///< of encoder and classifier
  double flops = 0;        ///< of training with one picture
  std::vector<ComparedRun> runs;
};

struct MeanAndSpread {
  double mean = 0, spread = 0;  ///< spread: standard deviation of a sample; 0 for fewer than two values
};
MeanAndSpread mean_and_spread(const std::vector<double>& values);

/// Floating-point operations of one picture's way forward and back: three times those of the way forward, of which only
/// products and convolutions count (see ForwardCost).
double training_flops(const Json& model, int64_t size);

/// The recipe of one run. @throws Error naming what the recipe must leave out, or where the budget is too small
Recipe compared_recipe(const ComparisonOptions& options, const Backbone& backbone, int64_t seed);

/// Carries out the runs that are not finished; one that was begun goes on where it was saved. What a finished run
/// leaves is result.json, recipe.json, metrics.jsonl and model/.
/// @return false when a signal asked to stop. @throws Error as Trainer does, also when a finished run had another
/// recipe
bool compare(const ComparisonOptions& options);

/// What is there of the runs, in the order of the backbones.
std::vector<ComparedBackbone> compared(const ComparisonOptions& options);

}  // namespace tessera
