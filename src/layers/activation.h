#pragma once
#include <torch/types.h>

#include <optional>
#include <string>

#include "kernels/nonlinearity.h"

namespace tessera {

/// An activation by the name that published configurations use: gelu (exact), gelu_new and gelu_pytorch_tanh (tanh
/// form), quick_gelu, relu, silu (swish), tanh, sigmoid, identity.
using Activation = torch::Tensor (*)(const torch::Tensor&);

/// @throws Error when the name is unknown
Activation activation(const std::string& name);

/// The same as kernels know it; none where they do not. Null is the identity.
std::optional<Nonlinearity> nonlinearity(Activation activation);

}  // namespace tessera
