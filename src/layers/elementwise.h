#pragma once
#include <torch/types.h>

/// Activations of every number as LibTorch has them: by a kernel of ours where nothing needs a gradient, since not
/// every build of LibTorch has vectors for them (Debian's computes the error function number by number).
namespace tessera::elementwise {

torch::Tensor gelu(const torch::Tensor& x);       ///< the exact form
torch::Tensor gelu_tanh(const torch::Tensor& x);  ///< the approximation by tanh
torch::Tensor quick_gelu(const torch::Tensor& x);
torch::Tensor silu(const torch::Tensor& x);
torch::Tensor sigmoid(const torch::Tensor& x);
torch::Tensor tanh(const torch::Tensor& x);

}  // namespace tessera::elementwise
