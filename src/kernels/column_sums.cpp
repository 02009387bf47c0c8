#include "kernels/column_sums.h"

#include <ATen/Functions.h>

#include <algorithm>

#include "core/parallel.h"
#include "kernels/cpu/rows.h"
#include "kernels/cpu/softmax.h"

namespace tessera {
namespace {

using torch::Tensor;

const char* row_of(const Tensor& x, int64_t row, int64_t columns) {
  return static_cast<const char*>(x.data_ptr()) + row * columns * x.element_size();
}

/// The sums; each(row) is called for every row before it is added.
template <class Each>
Tensor sums_with(const Tensor& x, const Each& each) {
  constexpr int64_t kRows = 64, kParts = 64;  // fewest rows of a part, most parts
  const int64_t rows = x.size(0), columns = x.size(1);
  const int64_t parts = std::clamp<int64_t>(rows / kRows, 1, kParts);
  const Tensor partial = torch::zeros({parts, columns}, x.options().dtype(torch::kFloat32));
  const bool narrow = x.scalar_type() == torch::kBFloat16;
  float* sums = partial.data_ptr<float>();
  in_parallel(parts, [&](int64_t part) {
    for (int64_t row = part * rows / parts; row < (part + 1) * rows / parts; ++row) {
      each(row);
      cpu::add_scaled(1, row_of(x, row, columns), columns, narrow, sums + part * columns);
    }
  });
  for (int64_t part = 1; part < parts; ++part) cpu::add_scaled(1, sums + part * columns, columns, false, sums);
  return partial[0].clone();
}

}  // namespace

Tensor column_sums(const Tensor& x) {
  const torch::NoGradGuard no_gradient;
  return sums_with(x, [](int64_t) {});
}

Tensor narrowed(const Tensor& given, Tensor* sums) {
  const torch::NoGradGuard no_gradient;
  const Tensor x = given.contiguous();
  if (x.scalar_type() == torch::kBFloat16) {
    if (sums) *sums = column_sums(x);
    return x;
  }
  Tensor result = torch::empty(x.sizes(), x.options().dtype(torch::kBFloat16));
  const auto write = [&](int64_t at, int64_t count) {
    cpu::to_bfloat16({x.data_ptr<float>() + at, false, count}, static_cast<uint16_t*>(result.data_ptr()) + at);
  };
  if (sums) {
    const int64_t columns = x.size(1);
    *sums = sums_with(x, [&](int64_t row) { write(row * columns, columns); });
    return result;
  }
  constexpr int64_t kPiece = 16384;
  in_parallel((x.numel() + kPiece - 1) / kPiece,
              [&](int64_t piece) { write(piece * kPiece, std::min(kPiece, x.numel() - piece * kPiece)); });
  return result;
}

}  // namespace tessera
