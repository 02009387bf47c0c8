#include <cstdio>

#include "apps/verbs.h"
#include "tasks/evaluate_icons.h"
#include "tasks/inputs.h"

namespace tessera::apps {
namespace {

struct EvaluateArguments {
  std::string model;
  IconEvaluationOptions options;
  bool json = false, markdown = false, per_language = false;
};

const std::map<std::string, const char*> kMethods = {{"chance", "chance"},
                                                     {"pixels", "nearest neighbour, 16 x 16 pixels"},
                                                     {"hog", "nearest neighbour, HOG"},
                                                     {"model", "this model"}};

std::string percent(double share) {
  if (share < 0) return "-";
  char text[16];
  std::snprintf(text, sizeof text, "%.1f", 100 * share);
  return text;
}

Json to_json(const IconRow& row) {
  const double others = mean_of_other_languages(row);
  Json json = {{"method", row.method},    {"style", row.style}, {"seen", row.seen}, {"pictures", row.pictures},
               {"names", row.candidates}, {"top1", row.top1},   {"top5", row.top5}};
  json["recall10_en"] = row.recall10.empty() ? Json(nullptr) : Json(row.recall10.at("en"));
  json["recall10_other_languages"] = others < 0 ? Json(nullptr) : Json(others);
  if (!row.recall10.empty()) json["recall10"] = row.recall10;
  return json;
}

std::vector<std::string> cells(const IconRow& row) {
  return {row.style,
          row.seen ? "seen" : "unseen",
          kMethods.at(row.method),
          std::to_string(row.pictures),
          std::to_string(row.candidates),
          percent(row.top1),
          percent(row.top5),
          row.recall10.empty() ? "-" : percent(row.recall10.at("en")),
          percent(mean_of_other_languages(row))};
}

const std::vector<std::string> kColumns = {"pictures in", "symbols", "method",         "pictures",          "names",
                                           "top-1 %",     "top-5 %", "recall@10 en %", "recall@10 others %"};
constexpr size_t kTextColumns = 3;

void print_markdown(const std::vector<IconRow>& rows) {
  for (const auto& column : kColumns) std::printf("| %s ", column.c_str());
  std::printf("|\n");
  for (size_t i = 0; i < kColumns.size(); ++i) std::printf(i < kTextColumns ? "| --- " : "| ---: ");
  std::printf("|\n");
  for (const auto& row : rows) {
    for (const auto& cell : cells(row)) std::printf("| %s ", cell.c_str());
    std::printf("|\n");
  }
}

void print_line(const std::vector<std::string>& line, const std::vector<size_t>& widths) {
  for (size_t i = 0; i < line.size(); ++i)
    std::printf(i < kTextColumns ? "%-*s  " : "%*s  ", static_cast<int>(widths[i]), line[i].c_str());
  std::printf("\n");
}

void print_table(const std::vector<IconRow>& rows) {
  std::vector<size_t> widths;
  for (const auto& column : kColumns) widths.push_back(column.size());
  for (const auto& row : rows) {
    const auto line = cells(row);
    for (size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  }
  print_line(kColumns, widths);
  for (size_t i = 0; i < rows.size(); ++i) {
    if (i > 0 && (rows[i].style != rows[i - 1].style || rows[i].seen != rows[i - 1].seen)) std::printf("\n");
    print_line(cells(rows[i]), widths);
  }
}

void print_languages(const std::vector<IconRow>& rows) {
  std::printf("\nText-to-image recall@10 in %%, by language\n");
  for (const auto& row : rows) {
    if (row.method != "model") continue;
    std::printf("%s, %s symbols:", row.style.c_str(), row.seen ? "seen" : "unseen");
    for (const auto& [language, recall] : row.recall10)
      std::printf(" %s %s", language.c_str(), percent(recall).c_str());
    std::printf("\n");
  }
}

int evaluate(const EvaluateArguments& arguments) {
  const auto rows = evaluate_icons(open_model(arguments.model), arguments.options);
  for (const auto& row : rows)
    if (arguments.json) std::printf("%s\n", json_line(to_json(row)).c_str());
  if (!arguments.json) (arguments.markdown ? print_markdown : print_table)(rows);
  if (!arguments.json && arguments.per_language) print_languages(rows);
  finish_output();
  return 0;
}

const VerbRegistration registration(
    "evaluate", "Measure a model on pictures that were never trained on", [](CLI::App& command) {
      auto arguments = std::make_shared<EvaluateArguments>();
      CLI::App* icons =
          command.add_subcommand("icons", "Name emoji in unseen styles and find them by their names, beside baselines");
      icons->add_option("--model", arguments->model, "Model folder (default: the shipped model)");
      icons->add_option("--data", arguments->options.data, "Folder that `tessera data icons` wrote")
          ->capture_default_str();
      icons->add_option("--in", arguments->options.languages, "Languages of text-to-image (default: the trained ones)")
          ->delimiter(',')
          ->type_name("en,de,...");
      icons->add_flag("--languages", arguments->per_language, "Print the recall of each language too");
      icons->add_flag("--json", arguments->json, "One JSON object a row");
      icons->add_flag("--markdown", arguments->markdown, "Print a Markdown table");
      command.require_subcommand(1);
      command.footer("Example: tessera evaluate icons --languages");
      return [arguments] { return evaluate(*arguments); };
    });

}  // namespace
}  // namespace tessera::apps
