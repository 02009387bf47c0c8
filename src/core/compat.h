#pragma once
/// The differences between the LibTorch versions that Tessera compiles against, in one place.
#include <ATen/Functions.h>
#include <ATen/autocast_mode.h>
#include <torch/types.h>
#include <torch/version.h>

#include <cmath>
#include <tuple>

namespace tessera {

#define TESSERA_TORCH_AT_LEAST(major, minor) \
  (TORCH_VERSION_MAJOR > (major) || (TORCH_VERSION_MAJOR == (major) && TORCH_VERSION_MINOR >= (minor)))

/// What matrix products and convolutions on the CPU run in at present: float32 where no Autocast lives.
inline torch::ScalarType autocast_type() {
#if TESSERA_TORCH_AT_LEAST(2, 4)
  return at::autocast::is_autocast_enabled(at::kCPU) ? at::autocast::get_autocast_dtype(at::kCPU) : torch::kFloat32;
#else
  return at::autocast::is_cpu_enabled() ? at::autocast::get_autocast_cpu_dtype() : torch::kFloat32;
#endif
}

/// While it lives, matrix products and convolutions on the CPU run in `dtype` (float32: nothing changes). Parameters
/// and their gradients stay float32.
class Autocast {
 public:
  explicit Autocast(torch::ScalarType dtype) : enabled_(dtype != torch::kFloat32) {
    if (!enabled_) return;
    set(true);
#if TESSERA_TORCH_AT_LEAST(2, 4)
    at::autocast::set_autocast_dtype(at::kCPU, dtype);
#else
    at::autocast::set_autocast_cpu_dtype(dtype);
#endif
    at::autocast::increment_nesting();
  }
  ~Autocast() {
    if (!enabled_) return;
    if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
    set(false);
  }
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  static void set(bool on) {
#if TESSERA_TORCH_AT_LEAST(2, 4)
    at::autocast::set_autocast_enabled(at::kCPU, on);
#else
    at::autocast::set_cpu_enabled(on);
#endif
  }
  bool enabled_;
};

/// softmax(scale q k^T + bias) v by LibTorch's fused attention, which chooses the kernel (on CUDA: flash or
/// memory-efficient attention).
/// @param q     B x heads x L x d; k and v: B x heads x S x d
/// @param bias  broadcasts to B x heads x L x S, of q's type; undefined: nothing
/// @param causal  query i sees the keys up to i; without a bias alone
inline torch::Tensor library_attention(const torch::Tensor& q, const torch::Tensor& k, const torch::Tensor& v,
                                       const torch::Tensor& bias, bool causal, double scale) {
  const c10::optional<torch::Tensor> mask = bias.defined() ? c10::optional<torch::Tensor>(bias) : c10::nullopt;
#if TESSERA_TORCH_AT_LEAST(2, 1)
  return at::scaled_dot_product_attention(q, k, v, mask, 0, causal, scale);
#else  // its scale is 1 / sqrt(d)
  const torch::Tensor scaled = q * (scale * std::sqrt(static_cast<double>(q.size(-1))));
  return std::get<0>(at::_scaled_dot_product_attention(scaled, k, v, mask, 0, /*need_attn_weights=*/false, causal));
#endif
}

/// Whether multiply_bytes() takes these: int8 on CUDA, with the sizes that cuBLAS asks for.
inline bool can_multiply_bytes([[maybe_unused]] const torch::Tensor& rows,
                               [[maybe_unused]] const torch::Tensor& weight) {
#if TESSERA_TORCH_AT_LEAST(2, 2)
  return weight.is_cuda() && rows.size(0) > 16 && weight.size(0) % 8 == 0 && weight.size(1) % 8 == 0;
#else
  return false;
#endif
}

/// The product of int8 matrices, its sums in int32. Only where can_multiply_bytes().
inline torch::Tensor multiply_bytes(const torch::Tensor& a, const torch::Tensor& b) {
#if TESSERA_TORCH_AT_LEAST(2, 2)
  return at::_int_mm(a, b);
#else
  return torch::matmul(a.to(torch::kInt32), b.to(torch::kInt32));
#endif
}

}  // namespace tessera
