#include "tasks/answer.h"

#include <cstdio>

#include "apps/picture_arguments.h"
#include "data/questions.h"

namespace tessera::apps {
namespace {

struct AnswerArguments {
  PictureArguments pictures;
  std::vector<std::string> questions;           // of ask
  std::vector<std::string> languages = {"en"};  // of caption
  bool json = false;
};

void print(const std::string& input, const Json& asked, const Answer& answer, bool json) {
  if (json) {
    Json line = {{"input", input}, {"text", answer.text}, {"log_probability", answer.log_probability}};
    line.update(asked);
    std::printf("%s\n", json_line(line).c_str());
  } else {
    std::printf("  %s\n", answer.text.c_str());
  }
  std::fflush(stdout);
}

/// Asks each picture every question. @param asked  what JSON says of each question
int answer(const PictureArguments& pictures, const std::vector<std::string>& questions, const std::vector<Json>& asked,
           bool json) {
  const auto inputs = pictures.inputs();
  const Model model = open_model(pictures.model);
  auto& talker = model.as<Talker>("answer questions about pictures");
  if (!model.tokenizer) throw Error("has no tokenizer", model.folder.string());
  Answerer answerer(talker, *model.tokenizer);
  int status = 0;
  feed_pictures(processor_of(model), inputs, pictures.feed(status), [&](const PictureBatch& batch) {
    std::vector<std::vector<Answer>> answers;
    for (const auto& question : questions)
      answers.push_back(answerer.answer(batch.pixels, std::vector(batch.indices.size(), question)));
    for (size_t i = 0; i < batch.indices.size(); ++i) {
      const std::string& input = inputs[batch.indices[i]].name;
      if (!json) std::printf("%s\n", input.c_str());
      for (size_t k = 0; k < questions.size(); ++k) print(input, asked[k], answers[k][i], json);
    }
  });
  finish_output();
  return status;
}

int ask(AnswerArguments arguments) {
  // What stands last is the question: `tessera ask a.png b.png "What is this?"`.
  if (arguments.questions.empty()) {
    if (arguments.pictures.images.size() < 2 && !arguments.pictures.stdin_list)
      throw Error("names no question", "ask", "tessera ask picture.png \"What is this?\"");
    arguments.questions = {arguments.pictures.images.back()};
    arguments.pictures.images.pop_back();
  }
  std::vector<Json> asked;
  for (const auto& question : arguments.questions) {
    if (question.find_first_not_of(" \t\n") == std::string::npos) throw Error("is empty", "question");
    asked.push_back({{"question", question}});
  }
  return answer(arguments.pictures, arguments.questions, asked, arguments.json);
}

int caption(const AnswerArguments& arguments) {
  std::vector<std::string> questions;
  std::vector<Json> asked;
  for (const auto& language : arguments.languages) {
    questions.push_back(Questions::naming(language));
    asked.push_back({{"language", language}});
  }
  return answer(arguments.pictures, questions, asked, arguments.json);
}

const VerbRegistration asking("ask", "Ask pictures a question", [](CLI::App& command) -> std::function<int()> {
  auto arguments = std::make_shared<AnswerArguments>();
  command.add_option("-q,--question", arguments->questions, "A question; may be repeated (default: the last argument)")
      ->allow_extra_args(false);
  command.add_flag("--json", arguments->json, "One JSON object a line");
  arguments->pictures.declare(command, {});
  command.footer("Example: tessera ask picture.png \"What is this?\"");
  return [arguments] { return ask(*arguments); };
});

const VerbRegistration captioning("caption", "Say what pictures show", [](CLI::App& command) -> std::function<int()> {
  auto arguments = std::make_shared<AnswerArguments>();
  command.add_option("--language", arguments->languages, "In which languages (default: en)")
      ->delimiter(',')
      ->type_name("en,de,...");
  command.add_flag("--json", arguments->json, "One JSON object a line");
  arguments->pictures.declare(command, {});
  command.footer("Example: tessera caption picture.png --language de,ja");
  return [arguments] { return caption(*arguments); };
});

}  // namespace
}  // namespace tessera::apps
