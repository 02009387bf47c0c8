#pragma once
#include "language/t5.h"
#include "parity/causal.h"

namespace tessera::parity {

/// The calls of T5: forward, loss, generate.
Outputs call_t5(T5& model, const Golden& golden, const Case& item, const Inputs& in);

}  // namespace tessera::parity
