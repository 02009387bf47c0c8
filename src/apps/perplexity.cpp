#include "tasks/perplexity.h"

#include <cstdio>

#include "apps/verbs.h"
#include "core/files.h"
#include "tasks/adapt.h"
#include "tasks/inputs.h"

namespace tessera::apps {
namespace {

struct PerplexityArguments {
  std::string model, file, adapter, precision, device = "cpu";
  PerplexityOptions options;
  bool json = false;
};

int measure(const PerplexityArguments& arguments) {
  const std::string text = read_file(arguments.file);
  const Perplexity found =
      perplexity(open_adapted_model(arguments.model, arguments.adapter, arguments.precision, arguments.device), text,
                 arguments.options);
  if (arguments.json) {
    const Json line = {{"file", arguments.file},         {"tokens", found.tokens},
                       {"predicted", found.predicted},   {"mean_nll", found.mean_nll},
                       {"perplexity", found.perplexity}, {"bits_per_byte", found.bits_per_byte}};
    std::printf("%s\n", json_line(line).c_str());
  } else {
    std::printf("%-14s %lld (%lld predicted)\n", "tokens", static_cast<long long>(found.tokens),
                static_cast<long long>(found.predicted));
    std::printf("%-14s %.6f nats\n%-14s %.4f\n%-14s %.4f\n", "mean nll", found.mean_nll, "perplexity", found.perplexity,
                "bits per byte", found.bits_per_byte);
  }
  finish_output();
  return 0;
}

std::function<int()> declare(CLI::App& command) {
  auto arguments = std::make_shared<PerplexityArguments>();
  command.add_option("model", arguments->model, "Model folder")->required();
  command.add_option("file", arguments->file, "A text, UTF-8")->required();
  command.add_option("--window", arguments->options.window, "Tokens at once (default: the context, at most 2048)")
      ->check(CLI::PositiveNumber);
  command.add_option("--stride", arguments->options.stride, "By how many it moves on (default: half of the window)")
      ->check(CLI::PositiveNumber);
  command.add_option("--adapter", arguments->adapter, "A PEFT folder, as tessera tune writes it");
  add_precision(command, arguments->precision);
  add_device(command, arguments->device);
  command.add_flag("--json", arguments->json, "One JSON object");
  command.footer("Example: tessera perplexity models/gpt2 book.txt --stride 512");
  return [arguments] { return measure(*arguments); };
}

const VerbRegistration registration("perplexity", "Measure how well a model predicts a text", declare);

}  // namespace
}  // namespace tessera::apps
