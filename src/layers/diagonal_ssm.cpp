#include "layers/diagonal_ssm.h"

#include "core/options.h"
#include "kernels/inference.h"
#include "kernels/recurrence.h"

namespace tessera {

torch::Tensor as_complex(const torch::Tensor& pairs) { return torch::view_as_complex(pairs.contiguous()); }

torch::Tensor DiagonalSsm::kernel(int64_t length) const {
  if (for_inference({torch::real(log_decay), torch::real(b), torch::real(c)}))
    return sums_of_powers(factor * b * c, log_decay, length);
  const torch::Tensor at = torch::arange(length, torch::real(c).options().requires_grad(false));
  const torch::Tensor powers = torch::exp(log_decay.unsqueeze(-1) * at);  // H x N x length
  return factor * torch::real(((b * c).unsqueeze(-1) * powers).sum(1));
}

DiagonalSsm discretise(const torch::Tensor& a, const torch::Tensor& b, const torch::Tensor& c, const torch::Tensor& dt,
                       const std::string& how) {
  check_choice(how, {"zoh", "bilinear"}, "discretisation");
  const torch::Tensor step = a * dt;
  if (how == "zoh") return {step, b * (torch::exp(step) - 1) / a, c};
  return {torch::log((1 + step / 2) / (1 - step / 2)), b * dt / (1 - step / 2), c};
}

}  // namespace tessera
