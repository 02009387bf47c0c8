#include "train/study.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <set>

#include "core/error.h"
#include "core/files.h"
#include "core/progress.h"
#include "tasks/backbones.h"
#include "train/trainer.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;

/// "retention + n-grams" -> "retention-n-grams".
std::string folder_name(const std::string& name) {
  std::string made;
  for (const char c : name) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) || c == '.';
    if (plain)
      made += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    else if (!made.empty() && made.back() != '-')
      made += '-';
  }
  while (!made.empty() && made.back() == '-') made.pop_back();
  return made;
}

void replace_all(Json& json, const std::string& what, const std::string& with) {
  if (json.is_structured())
    for (auto& item : json) replace_all(item, what, with);
  if (!json.is_string()) return;
  auto text = json.get<std::string>();
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size()))
    text.replace(at, what.size(), with);
  json = text;
}

/// Where a finished run has its model or adapter; empty of another run.
fs::path made_by(const fs::path& folder) {
  for (const char* made : {"model", "adapter"})
    if (fs::exists(folder / made / "metrics.json")) return folder / made;
  return {};
}

/// The summary of a finished run; null of another.
Json summary_of(const fs::path& folder) {
  const fs::path made = made_by(folder);
  return made.empty() ? Json() : read_json(made / "metrics.json");
}

/// What the study gave a run. The run's own recipe.json has values filled in that come from its data.
const char* const kGiven = "given.json";

/// @throws Error where a finished run was given another recipe
void check_finished(const fs::path& folder, const Json& recipe) {
  const fs::path given = folder / kGiven;
  if (!fs::exists(given)) throw Error("was not trained by a study", folder.string(), "give another --runs");
  const std::string key = difference(read_recipe(read_json(given), given.string()), read_recipe(recipe, ""));
  if (!key.empty())
    throw Error("was trained with another value of '" + key + "'", folder.string(),
                "give another --runs, or move it away to train it anew");
}

void add_measures(StudyRow& row, const Json& evaluation) {
  for (const auto& [set, measures] : evaluation.items())
    for (const auto& [measure, value] : measures.items())
      row.measures[set + " " + measure].push_back(value.get<double>());
}

}  // namespace

Study::Study(const fs::path& file, fs::path runs, const StudySelection& selection)
    : file_(file), runs_(std::move(runs)) {
  options_ = read_options<StudyOptions>(read_json(file), file.string());
  if (!options_.backbones.empty()) add_backbones();
  if (options_.variants.empty()) throw Error("compares nothing", file.string(), "give \"variants\" or \"backbones\"");
  if (options_.seeds.empty()) throw Error("names no seed", file.string() + ": seeds");
  if (options_.budget < 0) throw Error("must not be negative", file.string() + ": budget");
  check_names();
  select(selection);
  for (const auto& variant : options_.variants) {
    if (options_.budget > 0) budgets_[variant.name] = budget_of(variant);
    for (const int64_t seed : options_.seeds) read_recipe(recipe_of(variant, seed), variant.name);
  }
}

void Study::add_backbones() {
  for (const auto& backbone : read_backbones(file_.parent_path() / options_.backbones)) {
    const Json model = {{"encoder", backbone.encoder}, {"pool", backbone.pool}};
    options_.variants.push_back({.name = backbone.name, .recipe = "", .set = {{"model", model}}});
  }
}

void Study::check_names() const {
  std::set<std::string> folders;
  for (const auto& variant : options_.variants)
    if (folder_name(variant.name).empty() || !folders.insert(folder_name(variant.name)).second)
      throw Error("is no name of its own: '" + variant.name + "'", file_.string() + ": variants");
}

void Study::select(const StudySelection& selection) {
  auto& variants = options_.variants;
  std::vector<std::string> names;
  for (const auto& variant : variants) names.push_back(variant.name);
  for (const auto& name : selection.only) check_choice(name, names, file_.string());
  if (!selection.only.empty())
    std::erase_if(variants, [&](const StudyVariant& variant) {
      return variant.listed && std::ranges::find(selection.only, variant.name) == selection.only.end();
    });
  if (selection.seeds > 0 && selection.seeds < static_cast<int64_t>(options_.seeds.size()))
    options_.seeds.resize(static_cast<size_t>(selection.seeds));
}

Study::Budget Study::budget_of(const StudyVariant& variant) const {
  Json json = recipe_of(variant, options_.seeds.front());
  const std::string where = file_.string() + ": " + variant.name;
  for (const char* key : {"steps", "epochs"})
    if (json.contains(key)) throw Error("the budget gives the steps", where + ": " + key, "leave it out");
  json["steps"] = 1;
  const Recipe recipe = read_recipe(json, where);
  if (recipe.classify.empty() || recipe.search)
    throw Error("a budget is counted for classifiers alone", where, "give the recipe \"steps\" instead");
  Budget budget{.flops = training_flops(recipe.model, recipe.data.size)};
  const double step = budget.flops * static_cast<double>(recipe.batch * recipe.accumulate);
  budget.steps = std::llround(options_.budget / step);
  if (budget.steps < 1)
    throw Error("one step needs " + std::to_string(step / 1e9) + " GFLOP", where,
                "give a larger budget, or smaller batches");
  return budget;
}

fs::path Study::folder_of(const StudyVariant& variant, int64_t seed) const {
  return runs_ / (folder_name(variant.name) + "-" + std::to_string(seed));
}

Json Study::recipe_of(const StudyVariant& variant, int64_t seed) const {
  const fs::path recipe = file_.parent_path() / (variant.recipe.empty() ? options_.recipe : variant.recipe);
  Json json = read_json(recipe);
  for (const auto& [key, value] : variant.set.items()) set_value(json, key + "=" + value.dump());
  json["seed"] = seed;
  if (const auto budget = budgets_.find(variant.name); budget != budgets_.end()) json["steps"] = budget->second.steps;
  replace_all(json, "{seed}", std::to_string(seed));
  replace_all(json, "{runs}", runs_.string());
  return json;
}

bool Study::train(const Json& recipe, const fs::path& folder, const std::function<bool(int64_t)>& stop) const {
  Trainer trainer(read_recipe(recipe, ""), {.folder = folder, .stop = stop});
  if (!trainer.run().finished) return false;
  write_file(folder / kGiven, recipe.dump(2) + "\n");
  trainer.save_model_folder(folder / (trainer.recipe().tune ? "adapter" : "model"));
  return true;
}

bool Study::run(const std::function<bool(int64_t)>& stop) {
  for (const int64_t seed : options_.seeds)
    for (const auto& variant : options_.variants) {
      const fs::path folder = folder_of(variant, seed);
      const Json recipe = recipe_of(variant, seed);
      if (!made_by(folder).empty()) {
        check_finished(folder, recipe);
      } else {
        if (!Progress::quiet) std::fprintf(stderr, "\n%s\n", folder.c_str());
        try {
          if (!train(recipe, folder, stop)) return false;
        } catch (const Error& error) {
          throw error.within(folder.string());
        }
      }
      // A run that is finished needs neither; of a hundred runs they would fill the disk.
      for (const char* name : {"state.safetensors", "best.safetensors"}) fs::remove(folder / name);
    }
  return true;
}

std::vector<StudyRow> Study::rows() const {
  std::vector<StudyRow> rows;
  Json baselines;
  for (const auto& variant : options_.variants) {
    if (!variant.listed) continue;
    StudyRow row{.name = variant.name};
    if (const auto budget = budgets_.find(variant.name); budget != budgets_.end()) row.flops = budget->second.flops;
    double runs = 0;
    for (const int64_t seed : options_.seeds) {
      const Json summary = summary_of(folder_of(variant, seed));
      if (summary.is_null()) continue;
      add_measures(row, summary.value("evaluation", Json::object()));
      row.parameters = summary.value("parameters", int64_t{0});
      row.steps = summary.value("steps", int64_t{0});
      row.seconds += summary.value("seconds", 0.0);
      ++runs;
      if (baselines.is_null()) baselines = summary.value("baselines", Json());
    }
    if (runs > 0) row.seconds /= runs;
    rows.push_back(row);
  }
  for (const auto& [name, measures] : baselines.items()) {
    StudyRow row{.name = name};
    for (const auto& listed : rows.front().measures) {
      const std::string measure = listed.first.substr(listed.first.rfind(' ') + 1);
      if (measures.contains(measure)) row.measures[listed.first].push_back(measures[measure].get<double>());
    }
    rows.push_back(row);
  }
  return rows;
}

std::string mean_and_deviation(const std::vector<double>& values, bool part) {
  if (values.empty()) return "-";
  const double scale = part ? 100 : 1, count = static_cast<double>(values.size());
  double mean = 0, squares = 0;
  for (const double value : values) mean += scale * value / count;
  for (const double value : values) squares += (scale * value - mean) * (scale * value - mean);
  char text[64];
  if (values.size() == 1)
    std::snprintf(text, sizeof text, part ? "%.1f" : "%.3f", mean);
  else
    std::snprintf(text, sizeof text, part ? "%.1f ± %.1f" : "%.3f ± %.3f", mean, std::sqrt(squares / (count - 1)));
  return text;
}

}  // namespace tessera
