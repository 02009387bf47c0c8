#pragma once
#include <CLI/CLI.hpp>

namespace tessera::apps {

/// Declares --max-memory, which is for the whole process; see core/memory_limit.h.
void add_max_memory(CLI::App& command);

}  // namespace tessera::apps
