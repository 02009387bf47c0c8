#pragma once
#include <torch/types.h>

#include <initializer_list>

namespace tessera {

/// Whether kernels can read these: all are float32 on a CPU. Undefined tensors do not matter.
inline bool fit_kernels(std::initializer_list<torch::Tensor> tensors) {
  for (const torch::Tensor& tensor : tensors)
    if (tensor.defined() && !(tensor.is_cpu() && tensor.scalar_type() == torch::kFloat32)) return false;
  return true;
}

/// What kernels can read: bfloat16 of a CPU, as autocast leaves it, as float32; all else as it is.
inline torch::Tensor widened(const torch::Tensor& x) {
  return x.defined() && x.is_cpu() && x.scalar_type() == torch::kBFloat16 ? x.to(torch::kFloat32) : x;
}

/// Whether a kernel that knows no gradient may take the place of the plain form: it can read all of these, and nothing
/// is to learn from them.
inline bool for_inference(std::initializer_list<torch::Tensor> tensors) {
  for (const torch::Tensor& tensor : tensors)
    if (tensor.defined() && torch::GradMode::is_enabled() && tensor.requires_grad()) return false;
  return fit_kernels(tensors);
}

}  // namespace tessera
