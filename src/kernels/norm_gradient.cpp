#include "kernels/norm_gradient.h"

#include <ATen/Functions.h>

#include <algorithm>

#include "core/parallel.h"
#include "kernels/column_sums.h"
#include "kernels/cpu/norm_gradient.h"
#include "kernels/cpu/normalise.h"

namespace tessera {
namespace {

using torch::Tensor;

char* row_of(const Tensor& x, int64_t row, int64_t dim) {
  return static_cast<char*>(x.data_ptr()) + row * dim * x.element_size();
}

cpu::Norm norm_of(const Tensor& weight, const Tensor& bias, double eps, torch::ScalarType in, torch::ScalarType out) {
  return {.dim = weight.numel(),
          .weight = weight.data_ptr<float>(),
          .bias = bias.defined() ? bias.data_ptr<float>() : nullptr,
          .eps = static_cast<float>(eps),
          .narrow_in = in == torch::kBFloat16,
          .narrow_out = out == torch::kBFloat16};
}

}  // namespace

NormWithTrace norm_with_trace(const Tensor& given, const Tensor& weight, const Tensor& bias, double eps,
                              torch::ScalarType type) {
  const torch::NoGradGuard no_gradient;
  const Tensor x = given.contiguous();
  const int64_t dim = weight.numel(), rows = x.numel() / dim;
  const auto options = x.options().requires_grad(false);
  const NormWithTrace made{torch::empty(x.sizes(), options.dtype(type)), torch::empty(x.sizes(), options.dtype(type)),
                           torch::empty({rows}, options.dtype(torch::kFloat32))};
  const cpu::Norm norm = norm_of(weight, bias, eps, x.scalar_type(), type);
  auto* factors = made.factor.data_ptr<float>();
  in_parallel_by_rows(rows, [&](int64_t row) {
    factors[row] =
        cpu::normalise(norm, row_of(x, row, dim), row_of(made.result, row, dim), row_of(made.normalised, row, dim));
  });
  return made;
}

Tensor scale_and_shift(const Tensor& normalised, const Tensor& weight, const Tensor& bias) {
  const torch::NoGradGuard no_gradient;
  const int64_t dim = weight.numel();
  const Tensor result = torch::empty_like(normalised);
  const cpu::Norm norm = norm_of(weight, bias, 0, normalised.scalar_type(), normalised.scalar_type());
  in_parallel_by_rows(normalised.numel() / dim, [&](int64_t row) {
    cpu::scale_and_shift(norm, row_of(normalised, row, dim), row_of(result, row, dim));
  });
  return result;
}

NormGradients norm_gradients(const Tensor& given, const Tensor& normalised, const Tensor& factor, const Tensor& weight,
                             bool centred, torch::ScalarType type) {
  const torch::NoGradGuard no_gradient;
  constexpr int64_t kRows = 32, kParts = 64;  // fewest rows of a part, most parts
  const Tensor gradient = given.contiguous();
  const int64_t dim = weight.numel(), rows = factor.numel(), parts = std::clamp<int64_t>(rows / kRows, 1, kParts);
  const Tensor to_x = torch::empty(gradient.sizes(), gradient.options().dtype(type));
  const Tensor shares = torch::zeros({parts, centred ? 2 : 1, dim}, factor.options());
  const cpu::NormGradient norm{.dim = dim,
                               .weight = weight.data_ptr<float>(),
                               .centred = centred,
                               .narrow = normalised.scalar_type() == torch::kBFloat16,
                               .narrow_x = type == torch::kBFloat16};
  in_parallel(parts, [&](int64_t part) {
    float* to_weight = shares.data_ptr<float>() + part * shares.stride(0);
    for (int64_t row = part * rows / parts; row < (part + 1) * rows / parts; ++row)
      cpu::normalise_back(norm,
                          {row_of(normalised, row, dim), factor.data_ptr<float>()[row], row_of(gradient, row, dim)},
                          row_of(to_x, row, dim), to_weight, centred ? to_weight + dim : nullptr);
  });
  const Tensor sums = column_sums(shares.flatten(1)).view({centred ? 2 : 1, dim});
  return {to_x, sums[0], centred ? sums[1] : Tensor()};
}

}  // namespace tessera
