#include "layers/linear_recurrence.h"

#include <cmath>

#include "layers/diagonal_ssm.h"
#include "layers/mixers.h"

namespace tessera {

TESSERA_OPTIONS(LruOptions, dim, state)
TESSERA_OPTIONS(GatedLruOptions, dim, eps)
TESSERA_OPTIONS(S5Options, dim, state, conjugate, bidirectional, clip, discretisation, rescale)

namespace {

const MixerRegistration<LruMixer, LruOptions> lru_kind("lru");
const MixerRegistration<GatedLruMixer, GatedLruOptions> gated_kind("gated-lru");
const MixerRegistration<S5Mixer, S5Options> s5_kind("s5");

Tensor complex_zeros(int64_t batch, int64_t states, const torch::TensorOptions& like) {
  return torch::zeros({batch, states}, like.dtype(torch::kComplexFloat));
}

Tensor log_lambda(const Tensor& nu, const Tensor& theta) { return torch::complex(-torch::exp(nu), torch::exp(theta)); }

/// Rings near the unit circle (Orvieto et al., 2023): |lambda| from 0.9 to 0.999, any angle; and the gamma that keeps
/// the variance of an input of white noise.
struct Ring {
  explicit Ring(int64_t states)
      : nu(torch::log(-torch::log(torch::empty({states}).uniform_(0.9, 0.999)))),
        theta(torch::log(torch::empty({states}).uniform_(1e-3, 2 * M_PI))),
        gamma(0.5 * torch::log1p(-torch::exp(-2 * torch::exp(nu)))) {}
  Tensor nu, theta, gamma;
};

/// x (real, ... x in) times a complex matrix, out x in.
Tensor times(const Tensor& x, const Tensor& matrix) { return torch::matmul(x.to(matrix.scalar_type()), matrix.t()); }

}  // namespace

LruMixer::LruMixer(const LruOptions& options) : options_(options) {
  const auto& o = options_;
  const Ring ring(o.state);
  nu_ = register_parameter("nu", ring.nu), theta_ = register_parameter("theta", ring.theta);
  gamma_ = register_parameter("gamma", ring.gamma);
  const double in = 1 / std::sqrt(2.0 * static_cast<double>(o.dim)), out = 1 / std::sqrt(static_cast<double>(o.state));
  b_real_ = weight("b_real", {o.state, o.dim}, in), b_imag_ = weight("b_imag", {o.state, o.dim}, in);
  c_real_ = weight("c_real", {o.dim, o.state}, out), c_imag_ = weight("c_imag", {o.dim, o.state}, out);
  d_ = weight("d", {o.dim}, 1);
}

/// lambda, the input matrix with gamma, the output matrix.
std::vector<Tensor> LruMixer::prepared() const {
  return {torch::exp(log_lambda(nu_, theta_)), torch::complex(b_real_, b_imag_) * torch::exp(gamma_).unsqueeze(1),
          torch::complex(c_real_, c_imag_)};
}

Tensor LruMixer::kernel(int64_t length) const {
  const auto p = prepared();
  const Tensor at = torch::arange(length, nu_.options().requires_grad(false));
  const Tensor powers = torch::exp(at.unsqueeze(1) * log_lambda(nu_, theta_));  // length x state
  return torch::real(torch::einsum("on,ln,ni->loi", {p[2], powers, p[1]}));
}

Tensor LruMixer::whole(const Tensor& x) {
  const auto p = prepared();
  const Tensor h = linear_scan(p[0].view({1, 1, -1}), times(x, p[1]));  // B x L x state
  return torch::real(times(h, p[2])) + x * d_;
}

std::vector<Tensor> LruMixer::empty(int64_t batch, const torch::TensorOptions& like) const {
  return {complex_zeros(batch, options_.state, like)};
}

Tensor LruMixer::advance(const Tensor& x, std::vector<Tensor>& state, const std::vector<Tensor>& p) {
  state[0] = state[0] * p[0] + times(x, p[1]);
  return torch::real(times(state[0], p[2])) + x * d_;
}

GatedLruMixer::GatedLruMixer(const GatedLruOptions& options) : options_(options) {
  const int64_t dim = options_.dim;
  const Ring ring(dim);
  nu_ = register_parameter("nu", ring.nu), theta_ = register_parameter("theta", ring.theta);
  gamma_ = register_parameter("gamma", ring.gamma);
  in_ = add<Linear>("in", dim, 4 * dim);
  norm_ = add<Norm>("norm", 2 * dim, options_.eps);
  out_ = add<Linear>("out", 2 * dim, dim);
}

Tensor GatedLruMixer::input(const Tensor& projected) const {
  const auto parts = projected.chunk(4, -1);
  return torch::complex(parts[0].contiguous(), parts[1].contiguous()) * torch::exp(gamma_);
}

Tensor GatedLruMixer::finish(const Tensor& h, const Tensor& projected) {
  const Tensor gate = projected.narrow(-1, 2 * options_.dim, 2 * options_.dim);
  return out_->forward(norm_->forward(torch::cat({torch::real(h), torch::imag(h)}, -1) * torch::silu(gate)));
}

std::vector<Tensor> GatedLruMixer::prepared() const { return {torch::exp(log_lambda(nu_, theta_))}; }

Tensor GatedLruMixer::whole(const Tensor& x) {
  const Tensor projected = in_->forward(x);
  return finish(linear_scan(prepared()[0].view({1, 1, -1}), input(projected)), projected);
}

std::vector<Tensor> GatedLruMixer::empty(int64_t batch, const torch::TensorOptions& like) const {
  return {complex_zeros(batch, options_.dim, like)};
}

Tensor GatedLruMixer::advance(const Tensor& x, std::vector<Tensor>& state, const std::vector<Tensor>& p) {
  const Tensor projected = in_->forward(x);
  state[0] = state[0] * p[0] + input(projected);
  return finish(state[0], projected);
}

S5Mixer::S5Mixer(const S5Options& options) : options_(options) {
  const auto& o = options_;
  real_ = register_parameter("real", torch::full({o.state}, -0.5));
  imag_ = register_parameter("imag", torch::arange(o.state, torch::kFloat32) * M_PI);
  log_step_ = register_parameter("log_step", torch::empty({o.state, 1}).uniform_(std::log(1e-3), std::log(1e-1)));
  b_ = weight("b", {o.state, o.dim, 2}, 1 / std::sqrt(static_cast<double>(o.dim)));
  const double out = 1 / std::sqrt(static_cast<double>(o.state));
  c_ = weight("c", {o.dim, o.state, 2}, out);
  if (o.bidirectional) c_back_ = weight("c_back", {o.dim, o.state, 2}, out);
  d_ = weight("d", {o.dim}, 1);
}

std::shared_ptr<State> S5Mixer::start() const { return options_.bidirectional ? nullptr : RecurrentMixer::start(); }

/// The discrete diagonal and input matrix, and the output matrix.
std::vector<Tensor> S5Mixer::prepared() const {
  const auto& o = options_;
  const Tensor a = torch::complex(o.clip ? real_.clamp_max(-1e-4) : real_, imag_).unsqueeze(1);  // state x 1
  const DiagonalSsm ssm = discretise(a, as_complex(b_), {}, o.rescale * torch::exp(log_step_), o.discretisation);
  return {torch::exp(ssm.log_decay).squeeze(1), ssm.b, as_complex(c_)};
}

Tensor S5Mixer::whole(const Tensor& x) {
  const auto p = prepared();
  const Tensor input = times(x, p[1]), decay = tap(*this, p[0], "decay").view({1, 1, -1});
  const Tensor h = linear_scan(decay, input);  // B x L x state
  Tensor y = times(tap(*this, h, "states"), p[2]);
  if (c_back_.defined()) {
    const Tensor back = linear_scan(decay, input.flip(1)).flip(1);
    y = y + times(tap(*this, back, "states_back"), as_complex(c_back_));
  }
  return (options_.conjugate ? 2 : 1) * torch::real(y) + x * d_;
}

std::vector<Tensor> S5Mixer::empty(int64_t batch, const torch::TensorOptions& like) const {
  return {complex_zeros(batch, options_.state, like)};
}

Tensor S5Mixer::advance(const Tensor& x, std::vector<Tensor>& state, const std::vector<Tensor>& p) {
  state[0] = state[0] * p[0] + times(x, p[1]);
  return (options_.conjugate ? 2 : 1) * torch::real(times(state[0], p[2])) + x * d_;
}

}  // namespace tessera
