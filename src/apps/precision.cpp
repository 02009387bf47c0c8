#include "kernels/precision.h"
#include "apps/verbs.h"

namespace tessera::apps {

void add_precision(CLI::App& command, std::string& precision) {
  command
      .add_option("--precision", precision,
                  "Pack the weights for fast inference: float32, bfloat16, int8, int8-weights, int4 or int4-128")
      ->check(CLI::IsMember(precision_names()));
}

}  // namespace tessera::apps
