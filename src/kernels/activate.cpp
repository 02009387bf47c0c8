#include "kernels/activate.h"

#include <ATen/Functions.h>

#include <algorithm>

#include "kernels/cpu/finish.h"
#include "kernels/cpu/parallel.h"

namespace tessera {

using torch::Tensor;

Tensor fused_activation(const Tensor& given, Nonlinearity kind) {
  constexpr int64_t kPiece = 8192, kVector = 64;  // cpu::finish() reads whole vectors
  const torch::NoGradGuard no_gradient;
  const Tensor x = given.is_non_overlapping_and_dense() ? given : given.contiguous();
  Tensor result = torch::empty_like(x);  // with the same strides
  const int64_t count = x.numel(), whole = count / kVector * kVector;
  const auto* from = x.data_ptr<float>();
  auto* to = result.data_ptr<float>();
  const auto apply = [&](const float* numbers, int64_t some, float* out) {
    cpu::finish({numbers, false, 0}, 1, some, {.activation = kind, .out = out});
  };
  cpu::in_parallel((whole + kPiece - 1) / kPiece, [&](int64_t piece) {
    const int64_t begin = piece * kPiece;
    apply(from + begin, std::min(kPiece, whole - begin), to + begin);
  });
  if (whole < count) {
    float rest[kVector] = {};
    std::copy(from + whole, from + count, rest);
    apply(rest, count - whole, to + whole);
  }
  return result;
}

}  // namespace tessera
