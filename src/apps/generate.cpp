#include <cstdio>
#include <iostream>
#include <numeric>

#include "apps/decoding_arguments.h"
#include "apps/max_memory.h"
#include "core/files.h"
#include "core/stop.h"
#include "tasks/adapt.h"
#include "tasks/generate_text.h"
#include "tasks/inputs.h"

namespace tessera::apps {
namespace {

struct GenerateArguments {
  DecodingArguments decoding;
  std::string model, adapter, precision, device = "cpu", draft, schema;
  std::vector<std::string> prompts;
  TextGenerateOptions text;
  bool json = false;
};

/// What was given; "-" stands for the lines of standard input.
std::vector<std::string> prompts_of(const std::vector<std::string>& given) {
  std::vector<std::string> prompts;
  for (const std::string& prompt : given) {
    if (prompt != "-") {
      prompts.push_back(prompt);
      continue;
    }
    for (std::string line; std::getline(std::cin, line);) prompts.push_back(line);
  }
  if (prompts.empty()) throw Error("there is no prompt", "arguments", "give a text, or - to read lines");
  return prompts;
}

Json to_json(const std::string& input, const GeneratedText& made, bool each) {
  const auto& log_probabilities = made.tokens.log_probabilities;
  Json json = {{"input", input},
               {"text", made.text},
               {"tokens", made.tokens.ids},
               {"log_probability", std::accumulate(log_probabilities.begin(), log_probabilities.end(), 0.0)},
               {"finish", to_string(made.tokens.finish)}};
  if (each) json["log_probabilities"] = log_probabilities;
  return json;
}

int generate(GenerateArguments arguments) {
  const std::vector<std::string> prompts = prompts_of(arguments.prompts);
  const Model model = open_adapted_model(arguments.model, arguments.adapter, arguments.precision, arguments.device);
  TextGenerateOptions& options = arguments.text;
  options.decode = arguments.decoding.over(default_decoding(model));
  const bool each = options.decode.log_probabilities;
  if (each && !arguments.json) throw Error("are printed as JSON alone", "--log-probabilities", "give --json");
  options.decode.log_probabilities = arguments.json;
  if (!arguments.schema.empty()) {
    try {
      options.schema = nlohmann::ordered_json::parse(read_file(arguments.schema));
    } catch (const Json::exception& error) {
      throw Error("is no JSON: " + std::string(error.what()), arguments.schema);
    }
  }
  std::optional<Model> draft;
  if (!arguments.draft.empty()) draft = open_model(arguments.draft, arguments.precision, arguments.device);
  TextGenerator generator(model, std::move(draft));
  const bool streams = !arguments.json && prompts.size() == 1;
  bool streamed = false;
  TextHooks hooks;
  if (streams)
    hooks.on_text = [&](size_t, const std::string& piece) {
      streamed = true;
      std::fwrite(piece.data(), 1, piece.size(), stdout);
      std::fflush(stdout);
    };
  hooks.on_made = [&](const GeneratedText& made) {
    if (arguments.json)
      std::printf("%s\n", json_line(to_json(prompts[made.prompt], made, each)).c_str());
    else
      std::printf("%s\n", streamed ? "" : made.text.c_str());
    std::fflush(stdout);
  };
  const StopSignals signals;
  hooks.interrupted = [] { return StopSignals::came() != 0; };
  generator.generate(prompts, options, hooks);
  finish_output();
  return StopSignals::came() == 0 ? 0 : 128 + StopSignals::came();
}

std::function<int()> declare(CLI::App& command) {
  auto arguments = std::make_shared<GenerateArguments>();
  command.add_option("model", arguments->model, "Model folder")->required();
  command.add_option("prompts", arguments->prompts, "Texts to go on with; - reads one a line")->required();
  command.add_option("--adapter", arguments->adapter, "A PEFT folder, as tessera tune writes it");
  add_precision(command, arguments->precision);
  add_device(command, arguments->device);
  add_max_memory(command);
  command.add_flag("--json", arguments->json, "One JSON object a line: input, text, tokens, log_probability, finish");
  command.add_option("--batch", arguments->text.batch, "Prompts at a time")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_flag("--truncate", arguments->text.truncate, "Cut off the beginning of prompts that are too long");
  command.add_option("--stop", arguments->text.stop, "The text ends before this string; may be repeated")
      ->allow_extra_args(false);
  auto* expression =
      command.add_option("--regex", arguments->text.expression, "The text matches this regular expression");
  command.add_option("--json-schema", arguments->schema, "The text is JSON of the schema in this file")
      ->excludes(expression);
  command.add_option("--draft", arguments->draft, "A smaller model of the same vocabulary, for speculative decoding");
  command.add_option("--cache", arguments->text.cache, "How keys and values are kept: float32, bfloat16 or int8")
      ->capture_default_str();
  arguments->decoding.declare(command);
  command.footer("Example: tessera generate models/gpt2 \"Once upon a time\" --do-sample --top-p 0.9 --seed 1");
  return [arguments] { return generate(*arguments); };
}

const VerbRegistration registration("generate", "Go on with texts", declare);

}  // namespace
}  // namespace tessera::apps
