#include <cstdio>
#include <filesystem>

#include "apps/bench.h"
#include "apps/table.h"
#include "core/files.h"
#include "tasks/inputs.h"
#include "train/comparison.h"

namespace tessera::apps {
namespace {

struct LearningArguments {
  std::vector<std::string> recipes = {"recipes/backbones/fashion-mnist.json", "recipes/backbones/icon-groups.json"};
  std::string backbones = "recipes/backbones/small.json", folder = "runs/backbones";
  std::vector<std::string> only;
  int64_t seeds = 3;
  double budget = 1e12;
  bool table = false, json = false, markdown = false;
};

ComparisonOptions comparison_of(const LearningArguments& arguments, const std::string& recipe) {
  return {.name = std::filesystem::path(recipe).stem().string(),
          .recipe = read_json(recipe),
          .backbones = read_backbones(arguments.backbones, arguments.only),
          .seeds = arguments.seeds,
          .budget = arguments.budget,
          .folder = arguments.folder};
}

Json to_json(const std::string& recipe, const ComparedBackbone& row) {
  Json json = {{"recipe", recipe}, {"backbone", row.name}, {"parameters", row.parameters}, {"flops", row.flops}};
  json["runs"] = Json::array();
  for (const auto& run : row.runs) json["runs"].push_back(write_options(run));
  return json;
}

std::vector<std::string> cells(const ComparedBackbone& row) {
  std::vector<double> top1;
  for (const auto& run : row.runs) top1.push_back(100 * run.top1);
  const MeanAndSpread accuracy = mean_and_spread(top1);
  const bool any = !row.runs.empty();
  return {row.name,
          decimals(static_cast<double>(row.parameters) / 1e6, 2),
          decimals(row.flops / 1e6, 0),
          any ? std::to_string(row.runs.front().steps) : "-",
          std::to_string(row.runs.size()),
          any ? decimals(accuracy.mean, 1) : "-",
          row.runs.size() > 1 ? decimals(accuracy.spread, 1) : "-"};
}

/// One seed of all backbones and recipes before the next, so that all rows of the table are soon there.
bool train_all(const LearningArguments& arguments) {
  for (int64_t seeds = 1; seeds <= arguments.seeds; ++seeds)
    for (const auto& recipe : arguments.recipes) {
      ComparisonOptions options = comparison_of(arguments, recipe);
      options.seeds = seeds;
      if (!compare(options)) return false;
    }
  return true;
}

int bench_learning(const LearningArguments& arguments) {
  if (!arguments.table && !train_all(arguments)) return 0;
  for (const auto& recipe : arguments.recipes) {
    const ComparisonOptions options = comparison_of(arguments, recipe);
    Table table{.columns = {options.name, "M parameters", "MFLOP a picture", "steps", "runs", "top-1 %", "spread"},
                .text_columns = 1,
                .rows = {}};
    for (const auto& row : compared(options)) {
      if (arguments.json) std::printf("%s\n", json_line(to_json(options.name, row)).c_str());
      table.rows.push_back(cells(row));
    }
    if (!arguments.json) table.print(arguments.markdown), std::printf("\n");
  }
  finish_output();
  return 0;
}

}  // namespace

std::function<int()> declare_bench_learning(CLI::App& command) {
  auto arguments = std::make_shared<LearningArguments>();
  command.add_option("recipes", arguments->recipes, "Recipes of classifiers")->capture_default_str();
  command.add_option("--backbones", arguments->backbones, "The backbones, a JSON list")->capture_default_str();
  command.add_option("--only", arguments->only, "Train only this one, by name; may be repeated")
      ->allow_extra_args(false);
  command.add_option("--seeds", arguments->seeds, "Runs of each backbone")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--budget", arguments->budget, "Floating-point operations of a run, forward and back")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--run", arguments->folder, "Folder of all runs; what is finished in it is not done again")
      ->capture_default_str();
  command.add_flag("--table", arguments->table, "Train nothing, print what is there");
  command.add_flag("--json", arguments->json, "One JSON object a backbone and recipe");
  command.add_flag("--markdown", arguments->markdown, "Print Markdown tables");
  command.footer("Example: tessera --threads 1 bench learning --only ViT --only RMT --seeds 1");
  return [arguments] { return bench_learning(*arguments); };
}

}  // namespace tessera::apps
