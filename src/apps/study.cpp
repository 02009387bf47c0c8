#include "train/study.h"

#include <cstdio>
#include <set>

#include "apps/table.h"
#include "apps/verbs.h"
#include "tasks/inputs.h"
#include "train/learner.h"

namespace tessera::apps {
namespace {

struct StudyArguments {
  std::string file, runs;
  StudySelection selection;
  bool json = false, markdown = false, table = false;
};

std::string measure_of(const std::string& key) { return key.substr(key.rfind(' ') + 1); }

size_t trained_seeds(const StudyRow& row) { return row.measures.empty() ? 0 : row.measures.begin()->second.size(); }

std::string whole(int64_t value) { return value > 0 ? std::to_string(value) : "-"; }

Json to_json(const StudyRow& row) {
  return {{"name", row.name},   {"parameters", row.parameters}, {"flops", row.flops},
          {"steps", row.steps}, {"seconds", row.seconds},       {"measures", row.measures}};
}

void print(const std::string& title, const std::vector<StudyRow>& rows, bool markdown) {
  std::set<std::string> measures;
  bool budget = false;
  for (const auto& row : rows) {
    budget |= row.flops > 0;
    for (const auto& [measure, values] : row.measures) measures.insert(measure);
  }
  Table table{.columns = {title, "parameters"}};
  if (budget) table.columns.push_back("MFLOP a picture");
  for (const char* column : {"steps", "seeds"}) table.columns.emplace_back(column);
  for (const auto& measure : measures) table.columns.push_back(measure);
  table.columns.emplace_back("minutes");
  for (const auto& row : rows) {
    auto& cells = table.rows.emplace_back();
    cells = {row.name, whole(row.parameters)};
    if (budget) cells.push_back(row.flops > 0 ? decimals(row.flops / 1e6, 0) : "-");
    cells.push_back(whole(row.steps));
    cells.push_back(row.steps > 0 ? std::to_string(trained_seeds(row)) : "-");
    for (const auto& measure : measures) {
      const auto found = row.measures.find(measure);
      cells.push_back(mean_and_deviation(found == row.measures.end() ? std::vector<double>() : found->second,
                                         is_part(measure_of(measure))));
    }
    cells.push_back(row.seconds > 0 ? decimals(row.seconds / 60, 1) : "-");
  }
  table.print(markdown);
}

int study(const StudyArguments& arguments) {
  namespace fs = std::filesystem;
  const std::string name = fs::path(arguments.file).stem();
  Study made(arguments.file, arguments.runs.empty() ? fs::path("runs") / name : fs::path(arguments.runs),
             arguments.selection);
  if (!arguments.table) made.run();  // where it was stopped, the table has what is there
  const auto rows = made.rows();
  if (arguments.json)
    for (const auto& row : rows) std::printf("%s\n", json_line(to_json(row)).c_str());
  else
    print(name, rows, arguments.markdown);
  finish_output();
  return 0;
}

const VerbRegistration registration(
    "study", "Train the variants of a recipe, or backbones, with several seeds; print a table of what came out",
    [](CLI::App& command) -> std::function<int()> {
      auto arguments = std::make_shared<StudyArguments>();
      command.add_option("study", arguments->file, "The study, a JSON file")->required();
      command.add_option("--runs", arguments->runs, "Folder of all runs (default: runs/NAME of the study)");
      command.add_option("--only", arguments->selection.only, "Only this variant, by name; may be repeated")
          ->allow_extra_args(false);
      command.add_option("--seeds", arguments->selection.seeds, "Only as many of its seeds")
          ->check(CLI::PositiveNumber);
      command.add_flag("--json", arguments->json, "One JSON object a row, with the measures of each seed");
      command.add_flag("--markdown", arguments->markdown, "Print the table as Markdown");
      command.add_flag("--table", arguments->table, "Train nothing; print what is there");
      command.footer(
          "Finished runs are kept, and one that was stopped goes on.\n"
          "Example: tessera study recipes/backbones/fashion-mnist-study.json --only ViT --only RMT --seeds 1");
      return [arguments] { return study(*arguments); };
    });

}  // namespace
}  // namespace tessera::apps
