#pragma once
#include "apps/verbs.h"

namespace tessera::apps {

/// `tessera bench backbones`: declares its options, and gives what runs it.
std::function<int()> declare_bench_backbones(CLI::App& command);

}  // namespace tessera::apps
