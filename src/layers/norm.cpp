#include "layers/norm.h"

#include "core/options.h"
#include "kernels/norm.h"
#include "layers/norm_gradient.h"
#include "layers/variation.h"
#include "layers/way_back.h"

namespace tessera {

Norm::Norm(int64_t dim, double eps, const std::string& kind)
    : eps_(eps), zero_centred_(kind.starts_with("zero-centred")), rms_(kind.ends_with("rms")) {
  check_choice(kind, {"layer", "rms", "zero-centred-rms", "zero-centred-layer", "zero-centred-scale"}, "norm");
  weight = zero_centred_ ? Module::weight("weight", {dim}, 0) : ones("weight", {dim});
  if (kind.ends_with("layer")) bias = Module::weight("bias", {dim}, 0);
}

std::string Norm::prepare(Precision) {
  if (prepared_) return "";
  if (!weight.is_cpu() || weight.scalar_type() == torch::kFloat64) return "is not float32 on the CPU";
  if (!children().empty()) return "has a variation";
  if (!rms_ && !bias.defined()) return "a layer norm without bias has no fast form";
  for (Tensor* numbers : {&weight, &bias})
    if (numbers->defined()) numbers->set_data(numbers->to(torch::kFloat32));
  prepared_ = true;
  return "";
}

Tensor Norm::forward(const Tensor& x, torch::ScalarType type) {
  if (prepared_ && x.is_cpu() && !(torch::GradMode::is_enabled() && (x.requires_grad() || weight.requires_grad())))
    return tap(*this, fused_norm(x, zero_centred_ ? weight + 1 : weight, bias, eps_, type));
  // Between narrow layers on another device than the CPU.
  if (!x.is_cpu() && x.scalar_type() == torch::kBFloat16 && weight.scalar_type() == torch::kFloat32)
    return forward(x.to(torch::kFloat32), type).to(type);
  if ((rms_ || bias.defined()) && children().empty() && learns({x, weight, bias}) &&
      can_norm_with_gradient(x, weight, bias))
    return tap(*this, norm_with_gradient(x, zero_centred_ ? 1 + weight : weight, bias, eps_,
                                         type == torch::kBFloat16 ? type : x.scalar_type()));
  if (!rms_) {
    const Tensor y = torch::layer_norm(x, weight.sizes(), zero_centred_ ? 1 + weight : weight, bias, eps_);
    return tap(*this, vary(*this, x, y, {weight, bias}));
  }
  const Tensor wide = x.to(torch::kFloat32);
  const Tensor scaled = wide * torch::rsqrt(wide.pow(2).mean(-1, true) + eps_);
  if (zero_centred_) return tap(*this, (scaled * (1 + weight.to(torch::kFloat32))).to(x.scalar_type()));
  return tap(*this, weight * scaled.to(x.scalar_type()));
}

}  // namespace tessera
