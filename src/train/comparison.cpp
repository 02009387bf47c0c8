#include "train/comparison.h"

#include <cmath>
#include <cstdio>

#include "core/error.h"
#include "core/files.h"
#include "core/progress.h"
#include "encoders/classifier.h"
#include "train/trainer.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;

fs::path folder_of(const ComparisonOptions& options, const Backbone& backbone, int64_t seed) {
  return options.folder / options.name / backbone.name / std::to_string(seed);
}

Json model_of(const Backbone& backbone) { return {{"encoder", backbone.encoder}, {"pool", backbone.pool}}; }

void train(const Recipe& recipe, const fs::path& folder) {
  Trainer trainer(recipe, {.folder = folder, .new_recipe = false, .stop = {}});
  const RunResult result = trainer.run();
  if (!result.finished) return;
  trainer.save_model_folder(folder / "model");
  const auto& score = result.scores.at(recipe.classify);
  const ComparedRun run{recipe.seed, result.step, score.at("top1"), score.at("loss"),
                        read_json(folder / "model" / "metrics.json").at("seconds")};
  write_file(folder / "result.json", write_options(run).dump() + "\n");
  // A run that is finished needs neither; of a hundred runs they would fill the disk.
  for (const char* name : {"state.safetensors", "best.safetensors"}) fs::remove(folder / name);
}

}  // namespace

MeanAndSpread mean_and_spread(const std::vector<double>& values) {
  MeanAndSpread result;
  const auto count = static_cast<double>(values.size());
  for (const double value : values) result.mean += value / count;
  for (const double value : values) result.spread += (value - result.mean) * (value - result.mean);
  result.spread = values.size() > 1 ? std::sqrt(result.spread / (count - 1)) : 0;
  return result;
}

double training_flops(const Json& model, int64_t size) {
  const auto classifier = make_image_classifier(model, "model");
  classifier->eval();
  const torch::NoGradGuard no_gradient;
  const Tensor pixels = torch::zeros({1, 3, size, size});
  return 3.0 * static_cast<double>(count_flops([&] { classifier->forward(pixels); }));
}

Recipe compared_recipe(const ComparisonOptions& options, const Backbone& backbone, int64_t seed) {
  Json json = options.recipe;
  for (const char* key : {"model", "steps", "epochs", "seed"})
    if (json.contains(key)) throw Error("is given by the comparison", options.name + ": " + key, "leave it out");
  json["model"] = model_of(backbone);
  json["seed"] = seed;
  json["steps"] = 1;
  Recipe recipe = read_recipe(json, options.name);
  if (recipe.classify.empty()) throw Error("trains no classifier", options.name, "give \"classify\"");
  if (recipe.evaluation.every == 0 || recipe.evaluation.shards.empty())
    throw Error("measures nothing", options.name + ": evaluation", "give \"every\" and \"shards\"");
  const double step =
      training_flops(recipe.model, recipe.data.size) * static_cast<double>(recipe.batch * recipe.accumulate);
  recipe.steps = std::llround(options.budget / step);
  if (recipe.steps < 1)
    throw Error("one step needs " + std::to_string(step / 1e9) + " GFLOP", options.name + ": " + backbone.name,
                "give a larger budget, or smaller batches");
  return recipe;
}

bool compare(const ComparisonOptions& options) {
  for (int64_t seed = 0; seed < options.seeds; ++seed)  // seed by seed, so that the table soon has all rows
    for (const Backbone& backbone : options.backbones) {
      const Recipe recipe = compared_recipe(options, backbone, seed);
      const fs::path folder = folder_of(options, backbone, seed);
      if (!Progress::quiet) std::fprintf(stderr, "\n%s\n", folder.c_str());
      if (!fs::exists(folder / "result.json")) {
        train(recipe, folder);
        if (!fs::exists(folder / "result.json")) return false;
        continue;
      }
      const Recipe before = read_options<Recipe>(read_json(folder / "recipe.json"), folder.string());
      if (const std::string key = difference(before, recipe); !key.empty())
        throw Error("was finished with another value of '" + key + "'", folder.string(), "give another folder");
    }
  return true;
}

std::vector<ComparedBackbone> compared(const ComparisonOptions& options) {
  std::vector<ComparedBackbone> table;
  for (const Backbone& backbone : options.backbones) {
    ComparedBackbone& row = table.emplace_back();
    row.name = backbone.name;
    const Recipe recipe = compared_recipe(options, backbone, 0);
    row.flops = training_flops(recipe.model, recipe.data.size);
    for (const auto& parameter : make_image_classifier(recipe.model, "model")->parameters())
      row.parameters += parameter.numel();
    for (int64_t seed = 0; seed < options.seeds; ++seed) {
      const fs::path result = folder_of(options, backbone, seed) / "result.json";
      if (fs::exists(result)) row.runs.push_back(read_options<ComparedRun>(read_json(result), result.string()));
    }
  }
  return table;
}

}  // namespace tessera
