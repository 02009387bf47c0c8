#include "layers/norm.h"

#include "core/options.h"

namespace tessera {

Norm::Norm(int64_t dim, double eps, const std::string& kind) : eps_(eps) {
  check_choice(kind, {"layer", "rms"}, "norm");
  weight = ones("weight", {dim});
  if (kind == "layer") bias = Module::weight("bias", {dim}, 0);
}

Tensor Norm::forward(const Tensor& x) {
  if (bias.defined()) return tap(*this, torch::layer_norm(x, weight.sizes(), weight, bias, eps_));
  const Tensor wide = x.to(torch::kFloat32);
  const Tensor scaled = wide * torch::rsqrt(wide.pow(2).mean(-1, true) + eps_);
  return tap(*this, weight * scaled.to(x.scalar_type()));
}

}  // namespace tessera
