#include "tasks/classify.h"

#include <cstdio>
#include <iostream>

#include "apps/verbs.h"
#include "tasks/labels.h"

namespace tessera::apps {
namespace {

struct ClassifyArguments {
  std::vector<std::string> images, templates;
  std::string labels, labels_file, model;
  int64_t top = 5, batch = 32;
  bool json = false, skip_bad = false, stdin_list = false, truncate = false;
};

void print(const std::string& input, const std::vector<LabelScore>& results, bool json) {
  if (json) {
    Json list = Json::array();
    for (const auto& [label, score] : results) list.push_back({{"label", label}, {"score", six_digits(score)}});
    std::printf("%s\n", json_line({{"input", input}, {"results", list}}).c_str());
  } else {
    std::printf("%s\n", input.c_str());
    for (const auto& [label, score] : results) std::printf("  %6.2f %%  %s\n", 100.0 * double{score}, label.c_str());
  }
  std::fflush(stdout);
}

int classify(const ClassifyArguments& arguments) {
  const auto inputs = expand_inputs(arguments.images, arguments.stdin_list ? &std::cin : nullptr);
  ClassifyOptions options{.templates = arguments.templates, .text = {.truncate = arguments.truncate}};
  if (!arguments.labels_file.empty())
    options.labels = load_labels(arguments.labels_file);
  else if (!arguments.labels.empty())
    options.labels = split_labels(arguments.labels);
  const PictureClassifier classifier(open_model(arguments.model), options);
  int status = 0;
  FeedOptions feed{.batch = arguments.batch};
  if (arguments.skip_bad) {
    feed.bad = [&status](size_t, const Error& error) {
      std::fprintf(stderr, "tessera: %s\n", error.what());
      status = 2;
    };
  }
  feed_pictures(classifier.processor(), inputs, feed, [&](const PictureBatch& batch) {
    const Tensor scores = classifier.probabilities(batch.pixels);
    for (size_t i = 0; i < batch.indices.size(); ++i)
      print(inputs[batch.indices[i]].name, classifier.best(scores[static_cast<int64_t>(i)], arguments.top),
            arguments.json);
  });
  finish_output();
  return status;
}

std::function<int()> declare(CLI::App& command) {
  auto arguments = std::make_shared<ClassifyArguments>();
  command.add_option("images", arguments->images, "Pictures: files, folders, patterns, or - for standard input");
  auto* labels = command.add_option("--labels", arguments->labels, "Labels to choose among: \"cat,dog,fish\"");
  command.add_option("--labels-file", arguments->labels_file, "One label a line, JSONL, or a JSON list")
      ->excludes(labels);
  command.add_option("--template", arguments->templates, "\"a picture of {}\"; may be repeated")
      ->allow_extra_args(false);
  command.add_option("--top", arguments->top, "How many labels to print")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_flag("--json", arguments->json, "One JSON object a line");
  command.add_option("--model", arguments->model, "Model folder (default: the one that Tessera ships)");
  command.add_option("--batch", arguments->batch, "Pictures at a time")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_flag("--skip-bad", arguments->skip_bad, "Report bad pictures and go on; the exit status is 2 then");
  command.add_flag("--stdin-list", arguments->stdin_list, "Read paths from standard input, one a line");
  command.add_flag("--truncate", arguments->truncate, "Cut labels that are too long for the model");
  command.footer("Example: tessera classify picture.png --labels \"cat,dog,fish\"");
  return [arguments] { return classify(*arguments); };
}

const VerbRegistration registration("classify", "Name pictures", declare);

}  // namespace
}  // namespace tessera::apps
