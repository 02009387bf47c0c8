#include "apps/max_memory.h"

#include "core/memory_limit.h"
#include "core/size_text.h"

namespace tessera::apps {

void add_max_memory(CLI::App& command) {
  command
      .add_option_function<std::string>(
          "--max-memory", [](const std::string& size) { limit_memory(parse_size(size, "--max-memory")); },
          "The most that the process may hold, as 1.5G: batches get smaller until they fit, prompts are read in pieces")
      ->type_name("SIZE");
}

}  // namespace tessera::apps
