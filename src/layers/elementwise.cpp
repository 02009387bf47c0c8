#include "layers/elementwise.h"

#include "kernels/activate.h"
#include "layers/activation_gradient.h"
#include "layers/way_back.h"

namespace tessera::elementwise {
namespace {

using torch::Tensor;

template <class Plain>
Tensor activated(const Tensor& x, Nonlinearity kind, const Plain& plain) {
  if (!can_activate(x)) return plain();
  return learns({x}) ? activation_with_gradient(x, kind) : fused_activation(x, kind);
}

}  // namespace

Tensor gelu(const Tensor& x) {
  return activated(x, Nonlinearity::kGelu, [&] { return torch::gelu(x); });
}

Tensor gelu_tanh(const Tensor& x) {
  return activated(x, Nonlinearity::kGeluTanh, [&] { return torch::gelu(x, "tanh"); });
}

Tensor quick_gelu(const Tensor& x) {
  return activated(x, Nonlinearity::kQuickGelu, [&] { return x * torch::sigmoid(1.702 * x); });
}

Tensor silu(const Tensor& x) {
  return activated(x, Nonlinearity::kSilu, [&] { return torch::silu(x); });
}

Tensor sigmoid(const Tensor& x) {
  return activated(x, Nonlinearity::kSigmoid, [&] { return torch::sigmoid(x); });
}

Tensor tanh(const Tensor& x) {
  return activated(x, Nonlinearity::kTanh, [&] { return torch::tanh(x); });
}

}  // namespace tessera::elementwise
