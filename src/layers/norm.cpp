#include "layers/norm.h"

#include "core/options.h"

namespace tessera {

Norm::Norm(int64_t dim, double eps, const std::string& kind)
    : eps_(eps), zero_centred_(kind.starts_with("zero-centred")), rms_(kind.ends_with("rms")) {
  check_choice(kind, {"layer", "rms", "zero-centred-rms", "zero-centred-layer", "zero-centred-scale"}, "norm");
  weight = zero_centred_ ? Module::weight("weight", {dim}, 0) : ones("weight", {dim});
  if (kind.ends_with("layer")) bias = Module::weight("bias", {dim}, 0);
}

Tensor Norm::forward(const Tensor& x) {
  if (!rms_) return tap(*this, torch::layer_norm(x, weight.sizes(), zero_centred_ ? 1 + weight : weight, bias, eps_));
  const Tensor wide = x.to(torch::kFloat32);
  const Tensor scaled = wide * torch::rsqrt(wide.pow(2).mean(-1, true) + eps_);
  if (zero_centred_) return tap(*this, (scaled * (1 + weight.to(torch::kFloat32))).to(x.scalar_type()));
  return tap(*this, weight * scaled.to(x.scalar_type()));
}

}  // namespace tessera
