#include "kernels/activate.h"

#include <ATen/Functions.h>

#include <algorithm>

#include "core/parallel.h"
#include "kernels/cpu/activation.h"

namespace tessera {
namespace {

using torch::Tensor;

/// Numbers in pieces, or rows whose second half gates the first.
struct Pieces {
  Pieces(const Tensor& x, Nonlinearity activation, bool is_gated)
      : kind(activation),
        gated(is_gated),
        narrow(x.scalar_type() == torch::kBFloat16),
        size(x.element_size()),
        from(static_cast<const char*>(x.data_ptr())) {
    constexpr int64_t kPiece = 8192;
    const int64_t numbers = gated ? x.numel() / 2 : x.numel();  // of the result
    each = gated ? x.size(-1) / 2 : std::min(kPiece, numbers);
    count = each > 0 ? (numbers + each - 1) / each : 0;
    last = numbers - (count - 1) * each;
  }

  /// Calls work(piece, first number of the result) for all.
  template <class Work>
  void go(const Work& work) const {
    in_parallel(gated ? (count + 7) / 8 : count, [&](int64_t group) {
      const int64_t together = gated ? 8 : 1, end = std::min(count, (group + 1) * together);
      for (int64_t i = group * together; i < end; ++i) {
        const char* x = from + i * each * size * (gated ? 2 : 1);
        work(cpu::Activation{kind, narrow, i + 1 == count ? last : each, x, gated ? x + each * size : nullptr},
             i * each);
      }
    });
  }

  Nonlinearity kind;
  bool gated, narrow;
  int64_t size;
  const char* from;
  int64_t each = 0, count = 0, last = 0;
};

char* at(const Tensor& x, int64_t number) { return static_cast<char*>(x.data_ptr()) + number * x.element_size(); }

Tensor dense(const Tensor& x, bool gated) {
  return (gated ? x.is_contiguous() : x.is_non_overlapping_and_dense()) ? x : x.contiguous();
}

/// With the strides of x where both are the same numbers.
Tensor empty_like(const Tensor& x, bool gated) {
  if (!gated) return torch::empty_like(x);
  auto shape = x.sizes().vec();
  shape.back() /= 2;
  return torch::empty(shape, x.options());
}

}  // namespace

bool can_activate(const Tensor& x) {
  return x.is_cpu() && (x.scalar_type() == torch::kFloat32 || x.scalar_type() == torch::kBFloat16);
}

Tensor fused_activation(const Tensor& given, Nonlinearity kind, bool gated) {
  const torch::NoGradGuard no_gradient;
  const Tensor x = dense(given, gated), result = empty_like(x, gated);
  Pieces(x, kind, gated).go([&](const cpu::Activation& piece, int64_t first) {
    cpu::activate(piece, at(result, first));
  });
  return result;
}

Tensor activation_gradient(const Tensor& given, const Tensor& gained, Nonlinearity kind, bool gated) {
  const torch::NoGradGuard no_gradient;
  const Tensor x = dense(given, gated), result = torch::empty_like(x);
  Tensor gradient = gained.to(x.scalar_type());
  if (gated)
    gradient = gradient.contiguous();
  else if (gradient.strides() != x.strides())
    gradient = torch::empty_like(x).copy_(gradient);
  Pieces(x, kind, gated).go([&](const cpu::Activation& piece, int64_t first) {
    char* to_x = at(result, gated ? 2 * first : first);
    cpu::activate_back(piece, at(gradient, first), to_x, to_x + piece.count * x.element_size());
  });
  return result;
}

}  // namespace tessera
