#include <cstdio>

#include "apps/table.h"
#include "apps/verbs.h"
#include "tasks/evaluate_classes.h"
#include "tasks/evaluate_icons.h"
#include "tasks/evaluate_talk.h"
#include "tasks/inputs.h"

namespace tessera::apps {
namespace {

struct EvaluateArguments {
  std::string model, device = "cpu";
  IconEvaluationOptions options;
  bool json = false, markdown = false, per_language = false;
};

const std::map<std::string, const char*> kMethods = {{"chance", "chance"},
                                                     {"pixels", "nearest neighbour, 16 x 16 pixels"},
                                                     {"hog", "nearest neighbour, HOG"},
                                                     {"model", "this model"}};

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

Table table_of(const std::vector<IconRow>& rows) {
  Table table{.columns = {"pictures in", "symbols", "method", "pictures", "names", "top-1 %", "top-5 %",
                          "recall@10 en %", "recall@10 others %"},
              .text_columns = 3,
              .rows = {}};
  for (size_t i = 0; i < rows.size(); ++i) {
    if (i > 0 && (rows[i].style != rows[i - 1].style || rows[i].seen != rows[i - 1].seen)) table.rows.emplace_back();
    table.rows.push_back(cells(rows[i]));
  }
  return table;
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

int evaluate_icons_of(const EvaluateArguments& arguments) {
  const auto rows = evaluate_icons(open_model(arguments.model, {}, arguments.device), arguments.options);
  for (const auto& row : rows)
    if (arguments.json) std::printf("%s\n", json_line(to_json(row)).c_str());
  if (!arguments.json) table_of(rows).print(arguments.markdown);
  if (!arguments.json && arguments.per_language) print_languages(rows);
  finish_output();
  return 0;
}

struct TalkArguments {
  std::string model, device = "cpu";
  TalkEvaluationOptions options;
  bool json = false, markdown = false;
};

const std::map<std::string, const char*> kTalkMethods = {
    {"majority", "commonest answer"}, {"retrieval", "dual encoder, by retrieval"}, {"model", "this model"}};

int evaluate_talk_of(const TalkArguments& arguments) {
  const auto rows = evaluate_talk(open_model(arguments.model, {}, arguments.device), arguments.options);
  Table table{.columns = {"question", "answer in", "method", "questions", "exact %", "or synonym %"},
              .text_columns = 3,
              .rows = {}};
  for (const auto& row : rows) {
    if (arguments.json)
      std::printf("%s\n", json_line({{"question", row.kind},
                                     {"language", row.language},
                                     {"method", row.method},
                                     {"questions", row.questions},
                                     {"exact", row.exact},
                                     {"accepted", row.accepted}})
                              .c_str());
    table.rows.push_back({row.kind, row.language, kTalkMethods.at(row.method), std::to_string(row.questions),
                          percent(row.exact), percent(row.accepted)});
  }
  if (!arguments.json) table.print(arguments.markdown);
  finish_output();
  return 0;
}

struct ClassArguments {
  std::string model, device = "cpu";
  ClassEvaluationOptions options;
  bool json = false, markdown = false;
};

int evaluate_classes_of(const ClassArguments& arguments) {
  const ClassEvaluation found = evaluate_classes(open_model(arguments.model, {}, arguments.device), arguments.options);
  const ClassScore& score = found.model;
  const auto pictures = std::to_string(score.pictures), classes = std::to_string(found.classes);
  if (arguments.json)
    std::printf("%s\n", json_line({{"pictures", score.pictures},
                                   {"classes", found.classes},
                                   {"majority", found.majority},
                                   {"top1", score.top1},
                                   {"top5", score.top5},
                                   {"loss", score.loss}})
                            .c_str());
  else
    Table{
        .columns = {"method", "pictures", "classes", "top-1 %", "top-5 %", "loss"},
        .text_columns = 1,
        .rows = {{"commonest class", pictures, classes, percent(found.majority), "-", "-"},
                 {"this model", pictures, classes, percent(score.top1), percent(score.top5), decimals(score.loss, 3)}}}
        .print(arguments.markdown);
  finish_output();
  return 0;
}

std::function<int()> declare_classes(CLI::App& command) {
  auto arguments = std::make_shared<ClassArguments>();
  command.add_option("--model", arguments->model, "Folder of an image classifier that `tessera train` made")
      ->required();
  command.add_option("--data", arguments->options.data, "Shards, or fashion-mnist:test")
      ->delimiter(',')
      ->capture_default_str();
  command.add_option("--by", arguments->options.by, "What the classes are: group or name")->capture_default_str();
  command.add_option("--limit", arguments->options.limit, "Measure on this many pictures, evenly spread (0: all)")
      ->capture_default_str();
  add_device(command, arguments->device);
  command.add_flag("--json", arguments->json, "One JSON object");
  command.add_flag("--markdown", arguments->markdown, "Print a Markdown table");
  command.footer("Example: tessera evaluate classes --model runs/first/model --data fashion-mnist:test");
  return [arguments] { return evaluate_classes_of(*arguments); };
}

std::function<int()> declare_icons(CLI::App& command) {
  auto arguments = std::make_shared<EvaluateArguments>();
  command.add_option("--model", arguments->model, "Model folder (default: the shipped model)");
  command.add_option("--data", arguments->options.data, "Folder that `tessera data icons` wrote")
      ->capture_default_str();
  command.add_option("--in", arguments->options.languages, "Languages of text-to-image (default: the trained ones)")
      ->delimiter(',')
      ->type_name("en,de,...");
  command.add_flag("--languages", arguments->per_language, "Print the recall of each language too");
  add_device(command, arguments->device);
  command.add_flag("--json", arguments->json, "One JSON object a row");
  command.add_flag("--markdown", arguments->markdown, "Print a Markdown table");
  return [arguments] { return evaluate_icons_of(*arguments); };
}

std::function<int()> declare_talk(CLI::App& command) {
  auto arguments = std::make_shared<TalkArguments>();
  command.add_option("--model", arguments->model, "Model folder (default: the shipped model)");
  command.add_option("--data", arguments->options.data, "Folder that `tessera data icons` wrote")
      ->capture_default_str();
  command.add_option("--style", arguments->options.style, "The set whose pictures are asked about")
      ->capture_default_str();
  command.add_option("--in", arguments->options.languages, "Languages of names (default: the trained ones)")
      ->delimiter(',')
      ->type_name("en,de,...");
  command.add_option("--limit", arguments->options.limit, "Ask about this many pictures, evenly spread (0: all)")
      ->capture_default_str();
  add_device(command, arguments->device);
  command.add_flag("--json", arguments->json, "One JSON object a row");
  command.add_flag("--markdown", arguments->markdown, "Print a Markdown table");
  return [arguments] { return evaluate_talk_of(*arguments); };
}

const VerbRegistration registration(
    "evaluate", "Measure a model on pictures that were never trained on", [](CLI::App& command) {
      CLI::App* icons =
          command.add_subcommand("icons", "Name emoji in unseen styles and find them by their names, beside baselines");
      CLI::App* talk = command.add_subcommand("talk", "Ask about emoji in an unseen style, beside baselines");
      CLI::App* classes =
          command.add_subcommand("classes", "Put pictures into the classes that a model was trained on");
      const auto run_icons = declare_icons(*icons), run_talk = declare_talk(*talk),
                 run_classes = declare_classes(*classes);
      command.require_subcommand(1);
      command.footer("Example: tessera evaluate icons --languages");
      return [=] { return icons->parsed() ? run_icons() : talk->parsed() ? run_talk() : run_classes(); };
    });

}  // namespace
}  // namespace tessera::apps
