#include <cstdio>

#include "apps/verbs.h"
#include "core/error.h"
#include "core/files.h"
#include "train/trainer.h"

namespace tessera::apps {
namespace {

struct TrainArguments {
  std::string recipe, run;
  std::vector<std::string> settings;
  bool resume = false, new_recipe = false;
};

int train(const TrainArguments& arguments) {
  namespace fs = std::filesystem;
  Json json = read_json(arguments.recipe);
  for (const auto& setting : arguments.settings) set_value(json, setting);
  const fs::path run =
      arguments.run.empty() ? fs::path("runs") / fs::path(arguments.recipe).stem() : fs::path(arguments.run);
  if (arguments.resume && !fs::exists(run / "state.safetensors"))
    throw Error("holds no run that could go on", run.string(), "leave out --resume to begin one");
  Trainer trainer(read_recipe(json, ""), {.folder = run, .new_recipe = arguments.new_recipe, .stop = {}});
  const RunResult result = trainer.run();
  if (!result.finished) return 0;
  const fs::path made = run / (trainer.recipe().tune ? "adapter" : "model");
  trainer.save_model_folder(made);
  std::printf("%s: trained for %lld steps, loss %.4f\n", made.c_str(), static_cast<long long>(result.step),
              result.loss);
  for (const auto& [set, measures] : result.scores) std::printf("%s: %s\n", set.c_str(), to_string(measures).c_str());
  return 0;
}

const VerbRegistration registration(
    "train",
    "Train a dual encoder, a classifier, or a decoder over a dual encoder, as a recipe says; a run that was stopped "
    "goes on",
    [](CLI::App& command) -> std::function<int()> {
      auto arguments = std::make_shared<TrainArguments>();
      command.add_option("recipe", arguments->recipe, "The recipe, a JSON file")->required();
      command.add_option("--run", arguments->run,
                         "Folder for state, metrics and model (default: runs/NAME of the recipe)");
      command.add_option("--set", arguments->settings, "Change a value of the recipe: optimizer.learning_rate=1e-4")
          ->type_name("KEY=VALUE")
          ->allow_extra_args(false);
      command.add_flag("--resume", arguments->resume,
                       "Refuse to begin anew; a run whose folder is there goes on in any case");
      command.add_flag("--new-recipe", arguments->new_recipe, "Resume even though the recipe is another one");
      return [arguments] { return train(*arguments); };
    });

}  // namespace
}  // namespace tessera::apps
