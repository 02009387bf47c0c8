#include "kernels/polynomial.h"

#include "core/parallel.h"
#include "kernels/cpu/power_terms.h"

namespace tessera {

using torch::Tensor;

Tensor fused_polynomial(const Tensor& given, const Tensor& weight, const Tensor& bias, bool normalised, double eps) {
  const torch::NoGradGuard no_gradient;
  const Tensor x = given.contiguous(), weights = weight.contiguous();
  const int64_t dim = x.size(-1), rows = dim > 0 ? x.numel() / dim : 0;
  const auto* factors = weights.data_ptr<float>();
  const cpu::Polynomial polynomial{.dim = dim,
                                   .cube = factors[0],
                                   .square = factors[1],
                                   .linear = factors[2],
                                   .constant = bias.item<float>(),
                                   .normalised = normalised,
                                   .eps = static_cast<float>(eps)};
  Tensor result = torch::empty(x.sizes(), x.options());
  const auto* from = x.data_ptr<float>();
  auto* to = result.data_ptr<float>();
  in_parallel_by_rows(rows, [&](int64_t row) { cpu::evaluate(polynomial, from + row * dim, to + row * dim); });
  return result;
}

}  // namespace tessera
