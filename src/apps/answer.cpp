#include "tasks/answer.h"

#include <cstdio>
#include <sstream>

#include "apps/picture_arguments.h"
#include "data/questions.h"

namespace tessera::apps {
namespace {

struct AnswerArguments {
  PictureArguments pictures;
  std::vector<std::string> questions;           // of ask
  std::vector<std::string> languages = {"en"};  // of caption
  int64_t max_new_tokens = 0;                   // 0: the model's
  bool json = false;

  void declare(CLI::App& command) {
    command.add_option("--max-new-tokens", max_new_tokens, "At most this many tokens an answer (default: the model's)")
        ->check(CLI::PositiveNumber);
    command.add_flag(
        "--json", json,
        "One JSON object a line: input, text, log_probability, what was asked, regions where there are any");
    pictures.declare(command, {.model = "the one that Tessera ships, where it talks"});
  }
};

Json to_json(const PictureRegion& region) {
  Json json = Json::object();
  if (!region.label.empty()) json["label"] = region.label;
  if (!region.box.empty()) json["box"] = region.box;
  if (!region.quad.empty()) json["quad"] = region.quad;
  if (!region.polygons.empty()) json["polygons"] = region.polygons;
  return json;
}

void print(const std::string& input, const PictureRequest& asked, const Answer& answer, bool json) {
  if (json) {
    Json line = {{"input", input}, {"text", answer.text}, {"log_probability", answer.log_probability}};
    asked.caption.empty() ? line["question"] = asked.question : line["language"] = asked.caption;
    if (answer.regions) {
      line["regions"] = Json::array();
      for (const PictureRegion& region : *answer.regions) line["regions"].push_back(to_json(region));
    }
    std::printf("%s\n", json_line(line).c_str());
  } else {
    std::istringstream lines(answer.text);
    std::string line;
    do {  // an empty answer has its line, too
      line.clear();
      std::getline(lines, line);
      std::printf("  %s\n", line.c_str());
    } while (lines && !lines.eof());
  }
  std::fflush(stdout);
}

/// Asks each picture everything.
int answer(const AnswerArguments& arguments, const std::vector<PictureRequest>& requests) {
  const auto inputs = arguments.pictures.inputs();
  const Model model = open_model(arguments.pictures.model, arguments.pictures.precision, arguments.pictures.device);
  std::optional<int64_t> most;
  if (arguments.max_new_tokens > 0) most = arguments.max_new_tokens;
  const auto answerer = picture_answerer(model, most);
  int status = 0;
  FeedOptions feed = arguments.pictures.feed(status);
  if (!answerer->takes_batches()) feed.batch = 1;
  feed_pictures(processor_of(model), inputs, feed, [&](const PictureBatch& batch) {
    std::vector<std::vector<Answer>> answers;
    for (const auto& request : requests) answers.push_back(answerer->answer(batch.pictures, request));
    for (size_t i = 0; i < batch.indices.size(); ++i) {
      const std::string& input = inputs[batch.indices[i]].name;
      if (!arguments.json) std::printf("%s\n", input.c_str());
      for (size_t k = 0; k < requests.size(); ++k) print(input, requests[k], answers[k][i], arguments.json);
    }
  });
  finish_output();
  return status;
}

int ask(AnswerArguments arguments) {
  // What stands last is the question: `tessera ask a.png b.png "What is this?"`.
  if (arguments.questions.empty()) {
    if (arguments.pictures.images.size() < (arguments.pictures.stdin_list ? 1U : 2U))
      throw Error("names no question", "ask", "tessera ask picture.png \"What is this?\"");
    arguments.questions = {arguments.pictures.images.back()};
    arguments.pictures.images.pop_back();
  }
  std::vector<PictureRequest> requests;
  for (const auto& question : arguments.questions) {
    if (question.find_first_not_of(" \t\n") == std::string::npos) throw Error("is empty", "question");
    requests.push_back({.question = question});
  }
  return answer(arguments, requests);
}

int caption(const AnswerArguments& arguments) {
  std::vector<PictureRequest> requests;
  for (const auto& language : arguments.languages) {
    Questions::language_name(language);  // refuses others
    requests.push_back({.caption = language});
  }
  return answer(arguments, requests);
}

const VerbRegistration asking("ask", "Ask pictures a question", [](CLI::App& command) -> std::function<int()> {
  auto arguments = std::make_shared<AnswerArguments>();
  command.add_option("-q,--question", arguments->questions, "A question; may be repeated (default: the last argument)")
      ->allow_extra_args(false);
  arguments->declare(command);
  command.footer("Example: tessera ask picture.png \"What is this?\"");
  return [arguments] { return ask(*arguments); };
});

const VerbRegistration captioning("caption", "Say what pictures show", [](CLI::App& command) -> std::function<int()> {
  auto arguments = std::make_shared<AnswerArguments>();
  command.add_option("--language", arguments->languages, "In which languages (default: en)")
      ->delimiter(',')
      ->type_name("en,de,...");
  arguments->declare(command);
  command.footer("Example: tessera caption picture.png --json");
  return [arguments] { return caption(*arguments); };
});

}  // namespace
}  // namespace tessera::apps
