#include "tasks/classify.h"

#include <cstdio>
#include <iostream>

#include "apps/picture_arguments.h"
#include "core/error.h"
#include "tasks/classify_sounds.h"
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

/// Sounds one batch after the other; with --skip-bad, what is none is reported and left out.
int classify_sounds(const ClassifyArguments& arguments, const Model& model) {
  if (!arguments.labels.empty() || !arguments.labels_file.empty())
    throw Error("the model chooses among its own classes", "--labels", "leave it out");
  const SoundClassifier classifier(model);
  const auto files = expand_sounds(arguments.pictures.images, arguments.pictures.stdin_list ? &std::cin : nullptr);
  int status = 0;
  std::vector<Tensor> batch;
  std::vector<std::string> names;
  for (size_t i = 0; i < files.size(); ++i) {
    try {
      batch.push_back(classifier.read(files[i]));
      names.push_back(files[i]);
    } catch (const Error& error) {
      if (!arguments.pictures.skip_bad) throw;
      std::fprintf(stderr, "tessera: %s\n", error.what());
      status = 2;
    }
    const bool full = static_cast<int64_t>(batch.size()) == arguments.pictures.batch || i + 1 == files.size();
    if (!full || batch.empty()) continue;
    const Tensor scores = classifier.probabilities(torch::stack(batch));
    for (size_t k = 0; k < names.size(); ++k)
      print(names[k], classifier.best(scores[static_cast<int64_t>(k)], arguments.top), arguments.json);
    batch.clear(), names.clear();
  }
  finish_output();
  return status;
}

int classify(const ClassifyArguments& arguments) {
  const Model model = open_model(arguments.pictures.model, arguments.pictures.precision, arguments.pictures.device);
  if (SoundClassifier::reads_sounds(model)) return classify_sounds(arguments, model);
  const auto inputs = arguments.pictures.inputs();
  ClassifyOptions options{.templates = arguments.templates, .text = {.truncate = arguments.pictures.truncate}};
  if (!arguments.labels_file.empty())
    options.labels = load_labels(arguments.labels_file);
  else if (!arguments.labels.empty())
    options.labels = split_labels(arguments.labels);
  const PictureClassifier classifier(model, options);
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

const VerbRegistration registration("classify", "Name pictures, or sounds with a model of sounds", declare);

}  // namespace
}  // namespace tessera::apps
