#include <cstdio>

#include "apps/prepared_parts.h"
#include "apps/verbs.h"
#include "models/model.h"
#include "tasks/inputs.h"

namespace tessera::apps {
namespace {

struct PrepareArguments {
  std::string model, precision, output;
  bool json = false;
};

namespace fs = std::filesystem;

/// Refuses what may be somebody's only copy, before anything is packed.
void check_output(const PrepareArguments& arguments) {
  std::error_code none;
  if (fs::equivalent(arguments.model, arguments.output, none))
    throw Error("is the model's own folder", arguments.output, "name another one for the packed weights");
  if (!fs::exists(arguments.output, none) || fs::is_empty(arguments.output, none)) return;
  if (!is_prepared_folder(arguments.output))
    throw Error("exists and is no prepared model, so it is not overwritten", arguments.output,
                "name a new folder, an empty one, or one that `tessera prepare` wrote");
}

int run(const PrepareArguments& arguments) {
  check_output(arguments);
  if (is_prepared_folder(arguments.model))
    throw Error("is prepared already", arguments.model, "name the folder that it was prepared from");
  std::vector<PreparedPart> parts;
  const Precision precision = precision_of(arguments.precision, "--precision");
  const Model model = load_prepared_model(arguments.model, precision, &parts);
  save_prepared_model(model, precision, arguments.output);
  if (arguments.json) {
    std::printf("%s\n", json_line({{"model", arguments.model},
                                   {"output", arguments.output},
                                   {"precision", arguments.precision},
                                   {"parts", to_json(parts)}})
                            .c_str());
  } else {
    print_prepared(parts);
    std::printf("%-12s %s\n", "written to", arguments.output.c_str());
  }
  finish_output();
  return 0;
}

const VerbRegistration registration(
    "prepare", "Pack a model's weights once, in a folder that every verb opens without reading it first",
    [](CLI::App& command) {
      auto arguments = std::make_shared<PrepareArguments>();
      command.add_option("model", arguments->model, "Model folder")->required();
      add_precision(command, arguments->precision);
      command.get_option("--precision")->required();
      command.add_option("--output", arguments->output, "Folder to write; overwritten where it is a prepared model")
          ->required();
      command.add_flag("--json", arguments->json, "Print one JSON object");
      command.footer("Example: tessera prepare models/llama --precision int8 --output models/llama-int8");
      return [arguments] { return run(*arguments); };
    });

}  // namespace
}  // namespace tessera::apps
