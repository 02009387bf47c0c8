#include "train/study.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <set>

#include "core/error.h"
#include "core/files.h"
#include "core/progress.h"
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

/// The summary of a finished run; null of another.
Json summary_of(const fs::path& folder) {
  for (const char* made : {"model", "adapter"})
    if (fs::exists(folder / made / "metrics.json")) return read_json(folder / made / "metrics.json");
  return {};
}

void add_measures(StudyRow& row, const Json& evaluation) {
  for (const auto& [set, measures] : evaluation.items())
    for (const auto& [measure, value] : measures.items())
      row.measures[set + " " + measure].push_back(value.get<double>());
}

}  // namespace

Study::Study(const fs::path& file, fs::path runs) : file_(file), runs_(std::move(runs)) {
  options_ = read_options<StudyOptions>(read_json(file), file.string());
  if (options_.variants.empty()) throw Error("compares nothing", file.string(), "give \"variants\"");
  std::set<std::string> folders;
  for (const auto& variant : options_.variants) {
    if (!folders.insert(folder_name(variant.name)).second || folder_name(variant.name).empty())
      throw Error("is no name of its own: '" + variant.name + "'", file.string() + ": variants");
    for (const int64_t seed : options_.seeds) read_recipe(recipe_of(variant, seed), variant.name);
  }
}

fs::path Study::folder_of(const StudyVariant& variant, int64_t seed) const {
  return runs_ / (folder_name(variant.name) + "-" + std::to_string(seed));
}

Json Study::recipe_of(const StudyVariant& variant, int64_t seed) const {
  const fs::path recipe = file_.parent_path() / (variant.recipe.empty() ? options_.recipe : variant.recipe);
  Json json = read_json(recipe);
  for (const auto& [key, value] : variant.set.items()) set_value(json, key + "=" + value.dump());
  json["seed"] = seed;
  replace_all(json, "{seed}", std::to_string(seed));
  replace_all(json, "{runs}", runs_.string());
  return json;
}

bool Study::run(const std::function<bool(int64_t)>& stop) {
  for (const int64_t seed : options_.seeds)
    for (const auto& variant : options_.variants) {
      const fs::path folder = folder_of(variant, seed);
      if (!summary_of(folder).is_null()) continue;
      if (!Progress::quiet) std::fprintf(stderr, "%s\n", folder.c_str());
      try {
        Trainer trainer(read_recipe(recipe_of(variant, seed), variant.name), {.folder = folder, .stop = stop});
        if (!trainer.run().finished) return false;
        trainer.save_model_folder(folder / (trainer.recipe().tune ? "adapter" : "model"));
      } catch (const Error& error) {
        throw error.within(folder.string());
      }
    }
  return true;
}

std::vector<StudyRow> Study::rows() const {
  std::vector<StudyRow> rows;
  Json baselines;
  for (const auto& variant : options_.variants) {
    if (!variant.listed) continue;
    StudyRow row{.name = variant.name};
    double runs = 0;
    for (const int64_t seed : options_.seeds) {
      const Json summary = summary_of(folder_of(variant, seed));
      if (summary.is_null()) continue;
      add_measures(row, summary.value("evaluation", Json::object()));
      row.parameters = summary.value("parameters", 0.0);
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
