#include "apps/bench.h"

namespace tessera::apps {
namespace {

const VerbRegistration registration("bench", "Measure backbones beside each other", [](CLI::App& command) {
  CLI::App* backbones = command.add_subcommand("backbones", "What they cost: arithmetic, time, memory, and its growth");
  CLI::App* learning = command.add_subcommand(
      "learning", "What they learn of real pictures with the same arithmetic; what was stopped goes on");
  const auto run_backbones = declare_bench_backbones(*backbones), run_learning = declare_bench_learning(*learning);
  command.require_subcommand(1);
  command.footer("Example: tessera --threads 1 bench backbones --only ViT --only RMT");
  return [=] { return backbones->parsed() ? run_backbones() : run_learning(); };
});

}  // namespace
}  // namespace tessera::apps
