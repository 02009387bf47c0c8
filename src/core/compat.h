#pragma once
/// The differences between the LibTorch versions that Tessera compiles against, in one place.
#include <ATen/autocast_mode.h>
#include <torch/types.h>
#include <torch/version.h>

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

}  // namespace tessera
