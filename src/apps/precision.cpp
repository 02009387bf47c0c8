#include "kernels/precision.h"
#include "apps/verbs.h"

namespace tessera::apps {

void add_precision(CLI::App& command, std::string& precision) {
  command
      .add_option("--precision", precision,
                  "Pack the weights for fast inference: float32, bfloat16, int8, int8-weights, int4 or int4-128")
      ->check(CLI::IsMember(precision_names()));
}

void add_device(CLI::App& command, std::string& device) {
  command.add_option("--device", device, "Where the model runs: cpu, cuda or cuda:N (the N-th GPU, from 0)")
      ->capture_default_str();
}

}  // namespace tessera::apps
