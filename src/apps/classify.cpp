#include "tasks/classify.h"

#include <cstdio>

#include "apps/picture_arguments.h"
#include "tasks/labels.h"

namespace tessera::apps {
namespace {

struct ClassifyArguments {
  PictureArguments pictures;
  std::vector<std::string> templates;
  std::string labels, labels_file;
  int64_t top = 5;
  bool json = false;
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
  const auto inputs = arguments.pictures.inputs();
  ClassifyOptions options{.templates = arguments.templates, .text = {.truncate = arguments.pictures.truncate}};
  if (!arguments.labels_file.empty())
    options.labels = load_labels(arguments.labels_file);
  else if (!arguments.labels.empty())
    options.labels = split_labels(arguments.labels);
  const PictureClassifier classifier(open_model(arguments.pictures.model, arguments.pictures.precision), options);
  int status = 0;
  feed_pictures(classifier.processor(), inputs, arguments.pictures.feed(status), [&](const PictureBatch& batch) {
    const Tensor scores = classifier.probabilities(batch.pictures.pixel_values);
    for (size_t i = 0; i < batch.indices.size(); ++i)
      print(inputs[batch.indices[i]].name, classifier.best(scores[static_cast<int64_t>(i)], arguments.top),
            arguments.json);
  });
  finish_output();
  return status;
}

std::function<int()> declare(CLI::App& command) {
  auto arguments = std::make_shared<ClassifyArguments>();
  auto* labels = command.add_option("--labels", arguments->labels, "Labels to choose among: \"cat,dog,fish\"");
  command.add_option("--labels-file", arguments->labels_file, "One label a line, JSONL, or a JSON list")
      ->excludes(labels);
  command.add_option("--template", arguments->templates, "\"a picture of {}\"; may be repeated")
      ->allow_extra_args(false);
  command.add_option("--top", arguments->top, "How many labels to print")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_flag("--json", arguments->json, "One JSON object a line");
  arguments->pictures.declare(command, {.truncate = "labels"});
  command.footer("Example: tessera classify picture.png --labels \"cat,dog,fish\"");
  return [arguments] { return classify(*arguments); };
}

const VerbRegistration registration("classify", "Name pictures", declare);

}  // namespace
}  // namespace tessera::apps
