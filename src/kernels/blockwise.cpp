#include "kernels/blockwise.h"

#include <ATen/Functions.h>

#include "core/parallel.h"
#include "kernels/cpu/fours.h"
#include "kernels/flops.h"

namespace tessera {

using torch::Tensor;

Tensor products_of_fours(const Tensor& given, const Tensor& weight, const Tensor& bias) {
  const torch::NoGradGuard no_gradient;
  const Tensor x = given.contiguous(), columns = weight.permute({2, 0, 1}).contiguous();  // in x C / 4 x out
  const int64_t channels = x.size(-1), rows = channels > 0 ? x.numel() / channels : 0;
  const Tensor offset = bias.defined() ? bias.contiguous() : torch::zeros({channels}, x.options());
  Tensor result = torch::empty(x.sizes(), x.options());
  in_parallel_by_rows(rows, [&](int64_t row) {
    cpu::multiply_fours({columns.data_ptr<float>(), offset.data_ptr<float>(), channels},
                        x.data_ptr<float>() + row * channels, result.data_ptr<float>() + row * channels);
  });
  kernel_flops() += 8 * result.numel();
  return result;
}

}  // namespace tessera
