#include <cstdio>

#include "apps/verbs.h"
#include "core/error.h"
#include "models/model.h"
#include "tasks/adapt.h"
#include "tasks/inputs.h"
#include "train/adapter_recipe.h"
#include "train/trainer.h"
#include "train/tune_learner.h"

namespace tessera::apps {
namespace {

namespace fs = std::filesystem;

struct TuneArguments {
  std::string model, output, merge;
  TuneOptions tune;
  std::vector<std::string> settings;
  double learning_rate = 0, epochs = 0;
  int64_t steps = 0, batch = 4, accumulate = 1, seed = 0;
  std::string precision = "bfloat16";
  bool no_packing = false, json = false;
};

Recipe recipe_of(const TuneArguments& arguments) {
  TuneOptions tune = arguments.tune;
  tune.packing = !arguments.no_packing;
  const double rate = arguments.learning_rate > 0 ? arguments.learning_rate : usual_learning_rate(tune.method);
  Json json = {{"base", arguments.model},
               {"tune", write_options(tune)},
               {"optimizer", {{"learning_rate", rate}, {"weight_decay", 0}}},
               {"schedule", {{"warmup", 10}}},
               {"batch", arguments.batch},
               {"accumulate", arguments.accumulate},
               {"precision", arguments.precision},
               {"seed", arguments.seed},
               {"ema", 0}};
  if (arguments.steps > 0)
    json["steps"] = arguments.steps;
  else
    json["epochs"] = arguments.epochs > 0 ? arguments.epochs : 1;
  for (const auto& setting : arguments.settings) set_value(json, setting);
  return read_recipe(json, "");
}

void print(const char* when, const Scores& scores) {
  for (const auto& [set, measures] : scores)
    std::printf("%s, %s: %s\n", set.c_str(), when, to_string(measures).c_str());
}

int tune(const TuneArguments& arguments) {
  const Recipe recipe = recipe_of(arguments);
  if (!arguments.merge.empty() && (adds_tokens(*recipe.tune) || recipe.tune->method == "bottleneck"))
    throw Error("what " + recipe.tune->method + " learns has no place in a model's parameters", "--merge",
                "leave it out, and use the adapter with --adapter");
  Trainer trainer(recipe, {.folder = arguments.output});
  RunResult result = trainer.run();
  if (!result.finished) return 0;
  const fs::path adapter = fs::path(arguments.output) / "adapter";
  auto& learner = dynamic_cast<TuneLearner&>(trainer.learner());
  const Scores before = learner.evaluate_base();
  if (result.scores.empty() && !before.empty()) {  // a run that was finished before
    double main = 0;
    result.scores = learner.evaluate(learner.weights(), main);
  }
  trainer.save_model_folder(adapter);
  if (!arguments.merge.empty()) {
    Model merged = load_model(arguments.model);
    adapt_by_merging(merged, adapter);
    save_model(merged, arguments.merge);
  }
  if (arguments.json) {
    Json line = {{"adapter", adapter.string()}, {"steps", result.step}, {"before", before}, {"after", result.scores}};
    if (result.loss > 0) line["loss"] = result.loss;
    if (!arguments.merge.empty()) line["merged"] = arguments.merge;
    line.update(learner.summary());
    std::printf("%s\n", json_line(line).c_str());
  } else {
    std::printf("%s: tuned for %lld steps\n", adapter.c_str(), static_cast<long long>(result.step));
    print("before", before);
    print("after", result.scores);
    if (!arguments.merge.empty()) std::printf("%s: the model with it\n", arguments.merge.c_str());
  }
  finish_output();
  return 0;
}

void declare_method(CLI::App& command, TuneOptions& o) {
  command.add_option("--method", o.method, "lora, dora, rslora, ia3, bottleneck, prefix or prompt")
      ->capture_default_str();
  command.add_option("--rank", o.rank, "Rank of lora, dora and rslora")->capture_default_str();
  command.add_option("--alpha", o.alpha, "Scale of the low-rank branch, which counts alpha / rank times")
      ->capture_default_str();
  command.add_option("--dropout", o.dropout, "Of the low-rank branch's input")->capture_default_str();
  command.add_option("--targets", o.targets, "Modules to tune, by the ends of their published names, or all-linear")
      ->delimiter(',')
      ->allow_extra_args(false);
  command.add_option("--bottleneck", o.bottleneck, "Width of a bottleneck")->capture_default_str();
  command.add_option("--virtual-tokens", o.virtual_tokens, "Vectors of prefix and prompt")->capture_default_str();
  command.add_option("--length", o.length, "Tokens of a row (default: the model's context, at most 1024)");
  command.add_flag("--truncate", o.truncate, "Cut examples that are longer at their end, instead of refusing them");
  command.add_flag("--checkpointing", o.checkpointing, "Less memory, more time: blocks are computed again");
}

std::function<int()> declare(CLI::App& command) {
  auto arguments = std::make_shared<TuneArguments>();
  TuneArguments& a = *arguments;
  command.add_option("model", a.model, "Model folder, which stays as it is")->required();
  command
      .add_option("--data", a.tune.data, "Conversations, or prompts with completions, as JSON lines; may be repeated")
      ->required()
      ->allow_extra_args(false);
  command.add_option("--validation", a.tune.validation, "The same, to be evaluated on")->allow_extra_args(false);
  command.add_option("--output", a.output, "Folder of the run; the same command goes on with a run that was stopped")
      ->required();
  command.add_option("--merge", a.merge, "Write the model with the adapter merged into it to this folder");
  declare_method(command, a.tune);
  auto* steps = command.add_option("--steps", a.steps, "Optimizer steps")->check(CLI::PositiveNumber);
  command.add_option("--epochs", a.epochs, "Passes over the data (default: 1)")
      ->check(CLI::PositiveNumber)
      ->excludes(steps);
  command.add_option("--batch", a.batch, "Rows at a time")->capture_default_str();
  command.add_option("--accumulate", a.accumulate, "Batches of a step")->capture_default_str();
  command.add_option("--learning-rate", a.learning_rate,
                     "The highest (default: lora, dora, rslora, bottleneck 2e-4, ia3 8e-3, prefix 1e-2, prompt 3e-2)");
  command.add_option("--precision", a.precision, "Of matrix products: bfloat16 or float32")->capture_default_str();
  command.add_option("--seed", a.seed, "What draws begin with")->capture_default_str();
  command.add_flag("--no-packing", a.no_packing, "Give each example a row of its own");
  command.add_option("--set", a.settings, "Change another value of the recipe: schedule.warmup=0")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  command.add_flag("--json", a.json, "One JSON object at the end: adapter, steps, loss, before, after");
  command.footer(
      "Example: tessera tune models/gpt2 --data talk.jsonl --method lora --epochs 3 --output runs/talk\n"
      "         tessera generate models/gpt2 \"2 + 2 =\" --adapter runs/talk/adapter");
  return [arguments] { return tune(*arguments); };
}

const VerbRegistration registration("tune", "Tune a language model on conversations, with an adapter", declare);

}  // namespace
}  // namespace tessera::apps
