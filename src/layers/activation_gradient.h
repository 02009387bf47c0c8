#pragma once
#include "kernels/nonlinearity.h"
#include "layers/module.h"

namespace tessera {

/// fused_activation() with a gradient, which keeps its input alone: a layer that reads the result has it made again.
/// For what can_activate() says.
Tensor activation_with_gradient(const Tensor& x, Nonlinearity kind, bool gated = false);

}  // namespace tessera
