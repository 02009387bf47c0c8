#include "apps/bench.h"

namespace tessera::apps {
namespace {

const VerbRegistration registration("bench", "Measure backbones beside each other", [](CLI::App& command) {
  CLI::App* backbones = command.add_subcommand("backbones", "What they cost: arithmetic, time, memory, and its growth");
  const auto run = declare_bench_backbones(*backbones);
  command.require_subcommand(1);
  command.footer(
      "What they learn is a study: tessera study recipes/backbones/fashion-mnist-study.json\n"
      "Example: tessera --threads 1 bench backbones --only ViT --only RMT");
  return run;
});

}  // namespace
}  // namespace tessera::apps
