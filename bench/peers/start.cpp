#include "../bench.h"
#include "rows.h"
#include "tasks/inputs.h"

namespace tessera::bench {

Rows start_rows() {
  const std::string picture = std::string(TESSERA_SOURCE) + "/demo/pictures/cat.svg";
  const std::string model = default_model_folder().string();  // says where it is missing
  const auto timed = [](const std::string& program, const std::vector<std::string>& arguments) {
    return Row{[=] { return milliseconds([&] { run_program(program, arguments); }); }, {}};
  };
  return {{"classify",
           timed(TESSERA_BINARY, {"--quiet", "classify", picture, "--labels", "cat,dog,tree", "--model", model})},
          {"version", timed(TESSERA_BINARY, {"--version"})},
          {"libtorch", timed(TESSERA_EMPTY, {})}};
}

}  // namespace tessera::bench
