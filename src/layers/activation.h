#pragma once
#include <torch/types.h>

#include <string>

namespace tessera {

/// An activation by the name that published configurations use: gelu (exact), gelu_new and gelu_pytorch_tanh (tanh
/// form), quick_gelu, relu, silu (swish), tanh, sigmoid, identity.
using Activation = torch::Tensor (*)(const torch::Tensor&);

/// @throws Error when the name is unknown
Activation activation(const std::string& name);

}  // namespace tessera
