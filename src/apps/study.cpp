#include "train/study.h"

#include <cstdio>
#include <set>

#include "apps/table.h"
#include "apps/verbs.h"
#include "train/learner.h"

namespace tessera::apps {
namespace {

struct StudyArguments {
  std::string file, runs;
  bool markdown = false, table = false;
};

std::string measure_of(const std::string& key) { return key.substr(key.rfind(' ') + 1); }

void print(const std::vector<StudyRow>& rows, bool markdown) {
  std::set<std::string> measures;
  for (const auto& row : rows)
    for (const auto& [measure, values] : row.measures) measures.insert(measure);
  Table table{.columns = {"", "parameters", "seeds"}};
  for (const auto& measure : measures) table.columns.push_back(measure);
  table.columns.push_back("minutes");
  for (const auto& row : rows) {
    const auto number = [](double value, const char* format) {
      char text[32];
      std::snprintf(text, sizeof text, format, value);
      return value > 0 ? std::string(text) : std::string("-");
    };
    const size_t seeds = row.measures.empty() ? 0 : row.measures.begin()->second.size();
    auto& cells = table.rows.emplace_back();
    cells = {row.name, number(row.parameters, "%.0f"), row.parameters > 0 ? std::to_string(seeds) : "-"};
    for (const auto& measure : measures) {
      const auto found = row.measures.find(measure);
      cells.push_back(mean_and_deviation(found == row.measures.end() ? std::vector<double>() : found->second,
                                         is_part(measure_of(measure))));
    }
    cells.push_back(number(row.seconds / 60, "%.1f"));
  }
  table.print(markdown);
}

int study(const StudyArguments& arguments) {
  namespace fs = std::filesystem;
  const fs::path runs =
      arguments.runs.empty() ? fs::path("runs") / fs::path(arguments.file).stem() : fs::path(arguments.runs);
  Study made(arguments.file, runs);
  const bool finished = arguments.table || made.run();
  print(made.rows(), arguments.markdown);
  return finished ? 0 : 1;
}

const VerbRegistration registration(
    "study", "Train the variants of a recipe with several seeds, and print a table of what came out",
    [](CLI::App& command) -> std::function<int()> {
      auto arguments = std::make_shared<StudyArguments>();
      command.add_option("study", arguments->file, "The study, a JSON file")->required();
      command.add_option("--runs", arguments->runs, "Folder of all runs (default: runs/NAME of the study)");
      command.add_flag("--markdown", arguments->markdown, "Print the table as Markdown");
      command.add_flag("--table", arguments->table, "Train nothing; print what is there");
      command.footer(
          "Finished runs are kept, and one that was stopped goes on.\n"
          "Example: tessera study recipes/icll-study.json");
      return [arguments] { return study(*arguments); };
    });

}  // namespace
}  // namespace tessera::apps
