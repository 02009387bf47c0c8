#pragma once
#include <torch/types.h>

#include <string>

namespace tessera {

/// A shape as messages write it: "[3, 64]".
std::string shape_text(at::IntArrayRef shape);
/// With the type: "[3, 64] of BFloat16".
std::string shape_text(at::IntArrayRef shape, torch::ScalarType type);

}  // namespace tessera
