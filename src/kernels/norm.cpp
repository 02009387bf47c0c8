#include "kernels/norm.h"

#include <algorithm>

#include "core/parallel.h"
#include "kernels/cpu/normalise.h"

namespace tessera {

using torch::Tensor;

Tensor fused_norm(const Tensor& given, const Tensor& weight, const Tensor& bias, double eps, torch::ScalarType type) {
  const torch::NoGradGuard no_gradient;
  const Tensor x = given.contiguous();
  const int64_t dim = x.size(-1), rows = dim > 0 ? x.numel() / dim : 0;
  Tensor result = torch::empty(x.sizes(), x.options().dtype(type));
  const cpu::Norm norm{.dim = dim,
                       .weight = weight.data_ptr<float>(),
                       .bias = bias.defined() ? bias.data_ptr<float>() : nullptr,
                       .eps = static_cast<float>(eps),
                       .narrow_in = x.scalar_type() == torch::kBFloat16,
                       .narrow_out = type == torch::kBFloat16};
  const auto* from = static_cast<const char*>(x.data_ptr());
  auto* to = static_cast<char*>(result.data_ptr());
  in_parallel_by_rows(rows, [&](int64_t row) {
    cpu::normalise(norm, from + row * dim * x.element_size(), to + row * dim * result.element_size());
  });
  return result;
}

void rotate_in_place(Tensor& x, const Tensor& cosine, const Tensor& sine, bool adjacent) {
  const torch::NoGradGuard no_gradient;
  const int64_t length = x.size(1), heads = x.size(2), dim = x.size(3), pairs = cosine.size(-1);
  const bool narrow = x.scalar_type() == torch::kBFloat16;
  in_parallel_by_rows(x.size(0) * length, [&](int64_t row) {
    const int64_t b = row / length, at = row % length;
    char* heads_of_row = static_cast<char*>(x.data_ptr()) + (b * x.stride(0) + at * x.stride(1)) * x.element_size();
    const int64_t angle = ((cosine.size(0) > 1 ? b : 0) * length + at) * pairs;
    for (int64_t head = 0; head < heads; ++head)
      cpu::rotate({cosine.data_ptr<float>() + angle, sine.data_ptr<float>() + angle, pairs, adjacent},
                  heads_of_row + head * dim * x.element_size(), narrow);
  });
}

}  // namespace tessera
