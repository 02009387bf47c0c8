#pragma once
#include <torch/types.h>

#include <string>

namespace tessera {

/// A state space with a diagonal matrix for each channel, in steps (Gu et al., 2022):
///   h <- exp(log_decay) h + b x,   y = factor Re(sum of c h)
/// with H channels and N states each, all complex. Conjugate pairs are kept as one of them, with a factor of two.
struct DiagonalSsm {
  torch::Tensor log_decay, b, c;  ///< H x N
  double factor = 2;

  /// What y is after an impulse, H x length.
  torch::Tensor kernel(int64_t length) const;
};

/// From continuous time: a, b: H x N, dt: H x 1; "zoh" (the input stands still during a step) or "bilinear". The
/// discrete b; log_decay is returned in place of a.
/// @throws Error for another name
DiagonalSsm discretise(const torch::Tensor& a, const torch::Tensor& b, const torch::Tensor& c, const torch::Tensor& dt,
                       const std::string& how);

/// A parameter that is stored as pairs of real and imaginary parts.
torch::Tensor as_complex(const torch::Tensor& pairs);

}  // namespace tessera
