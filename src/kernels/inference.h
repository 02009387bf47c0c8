#pragma once
#include <torch/types.h>

#include <initializer_list>

namespace tessera {

/// Whether a kernel that knows no gradient may take the place of the plain form: all of these are float32 on a CPU, and
/// nothing is to learn from them. Undefined tensors do not matter.
inline bool for_inference(std::initializer_list<torch::Tensor> tensors) {
  for (const torch::Tensor& tensor : tensors) {
    if (!tensor.defined()) continue;
    if (!tensor.is_cpu() || tensor.scalar_type() != torch::kFloat32) return false;
    if (torch::GradMode::is_enabled() && tensor.requires_grad()) return false;
  }
  return true;
}

}  // namespace tessera
