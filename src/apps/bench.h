#pragma once
#include "apps/verbs.h"

namespace tessera::apps {

/// The parts of `tessera bench`: each declares its options, and gives what runs it.
std::function<int()> declare_bench_backbones(CLI::App& command);
std::function<int()> declare_bench_learning(CLI::App& command);

}  // namespace tessera::apps
