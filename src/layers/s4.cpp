#include "layers/s4.h"

#include <cmath>

#include "core/error.h"
#include "layers/elementwise.h"
#include "layers/mixers.h"

namespace tessera {

TESSERA_OPTIONS(S4Options, dim, state, mode, discretisation, ssms, length, input_weights)
TESSERA_OPTIONS(DssOptions, dim, state, eps)
TESSERA_OPTIONS(GssOptions, dim, inner, narrow, state)

namespace {

const MixerRegistration<S4Mixer, S4Options> s4_kind("s4");
const MixerRegistration<DssMixer, DssOptions> dss_kind("dss");
const MixerRegistration<GssMixer, GssOptions> gss_kind("gss");

Tensor complex_zeros(at::IntArrayRef shape, const torch::TensorOptions& like) {
  return torch::zeros(shape, like.dtype(torch::kComplexFloat));
}

/// One step of a diagonal state space. state: B x H x N; x: B x H.
Tensor diagonal_step(const Tensor& x, Tensor& state, const Tensor& decay, const Tensor& b, const Tensor& c,
                     double factor) {
  state = state * decay + b * x.unsqueeze(-1);
  return factor * torch::real((state * c).sum(-1));
}

}  // namespace

S4Mixer::S4Mixer(const S4Options& options) : options_(options) {
  auto& o = options_;
  check_choice(o.mode, {"diag", "dplr"}, "s4: mode");
  check_choice(o.discretisation, {"zoh", "bilinear", "dss"}, "s4: discretisation");
  if (o.ssms <= 0) o.ssms = o.dim;
  if (o.state < 2 || o.state % 2 != 0 || o.dim % o.ssms != 0)
    throw Error("a state of " + std::to_string(o.state) + " and " + std::to_string(o.ssms) + " matrices for " +
                    std::to_string(o.dim) + " channels do not fit together",
                "s4", "the state is even, and the matrices divide the channels");
  const int64_t pairs = o.state / 2;
  // S4D-Lin (Gu et al., 2022): real parts of -1/2, equally spaced frequencies; steps from 0.001 to 0.1.
  a_real_ = register_parameter("a_real", torch::full({o.ssms, pairs}, std::log(0.5)));
  a_imag_ = register_parameter(
      "a_imag", (torch::arange(pairs, torch::kFloat32) * (o.input_weights ? -M_PI : M_PI)).repeat({o.ssms, 1}));
  log_dt_ = register_parameter("log_dt", torch::empty({o.dim, 1}).uniform_(std::log(1e-3), std::log(1e-1)));
  if (o.input_weights) b_ = register_parameter("b", torch::view_as_real(complex_zeros({1, o.ssms, pairs}, {}) + 1));
  c_ = weight("c", {1, o.dim, pairs, 2}, std::sqrt(0.5));
  if (o.mode == "dplr") {
    if (o.length < 1) throw Error("is as long as its kernel: give \"length\"", "s4: dplr");
    p_ = weight("p", {1, o.ssms, pairs, 2}, 0.5);
  }
  d_ = ones("d", {1, o.dim});
  proj_ = add<Linear>("proj", o.dim, 2 * o.dim);
}

std::shared_ptr<State> S4Mixer::start() const {
  const bool fixed = options_.mode == "dplr" || options_.discretisation != "dss";
  return fixed ? RecurrentMixer::start() : nullptr;
}

S4Mixer::Continuous S4Mixer::continuous() const {
  const int64_t times = options_.dim / options_.ssms;
  const auto all = [&](const Tensor& x) { return x.repeat({times, 1}); };
  const Tensor a = all(torch::complex(-torch::exp(a_real_), options_.input_weights ? -a_imag_ : a_imag_));
  return {a, b_.defined() ? all(as_complex(b_)[0]) : torch::ones_like(a), as_complex(c_)[0],
          p_.defined() ? all(as_complex(p_)[0]) : Tensor(), torch::exp(log_dt_)};
}

Tensor S4Mixer::kernel(int64_t length) const {
  if (options_.mode == "dplr") return low_rank_kernel().narrow(1, 0, length);
  const Continuous s = continuous();
  if (options_.discretisation != "dss") return discretise(s.a, s.b, s.c, s.dt, options_.discretisation).kernel(length);
  // Divided by what a constant input would come to after the whole sequence; the reference's guarded reciprocal.
  const Tensor step = s.a * s.dt, whole = s.a * (torch::exp(step * static_cast<double>(length)) - 1);
  const Tensor reciprocal = torch::conj(whole) / (whole * torch::conj(whole) + 1e-7);
  return DiagonalSsm{step, s.b * (torch::exp(step) - 1) * reciprocal, s.c, 1}.kernel(length);
}

/// The kernel by its generating function at the roots of unity w, where the matrix's inverse is a sum of Cauchy kernels
/// and a correction of rank one (Woodbury). Written with factors of 1 + w instead of 1 / (1 + w), it has no pole.
Tensor S4Mixer::low_rank_kernel() const {
  const Continuous s = continuous();
  const int64_t length = options_.length;
  const Tensor turn =
      torch::arange(length / 2 + 1, s.dt.options().requires_grad(false)) * (-2 * M_PI / static_cast<double>(length));
  const Tensor w = torch::complex(torch::cos(turn), torch::sin(turn));  // length / 2 + 1
  const Tensor a = s.a * s.dt;
  const auto inverse = [&](const Tensor& at) { return (2 * (1 - w) - at.unsqueeze(-1) * (1 + w)).reciprocal(); };
  const Tensor one = inverse(a), other = inverse(torch::conj(a));  // dim x N x length / 2 + 1
  const auto sum = [&](const Tensor& v) {
    return s.dt * ((v.unsqueeze(-1) * one).sum(1) + (torch::conj(v).unsqueeze(-1) * other).sum(1));
  };
  const Tensor q = torch::conj(s.p), correction = sum(s.b * q) * sum(s.p * s.c) / (1 + (1 + w) * sum(s.p * q));
  return torch::fft_irfft(2 * (sum(s.b * s.c) - (1 + w) * correction), length);
}

Tensor S4Mixer::finish(const Tensor& y, const Tensor& x) {
  const auto halves = proj_->forward(elementwise::gelu(y + x * d_[0])).chunk(2, -1);
  return halves[0] * elementwise::sigmoid(halves[1]);
}

Tensor S4Mixer::whole(const Tensor& x) {
  if (options_.mode == "dplr" && x.size(1) > options_.length) return one_by_one(x);
  return finish(long_convolution(x, tap(*this, kernel(x.size(1)), "kernel")), x);
}

std::vector<Tensor> S4Mixer::empty(int64_t batch, const torch::TensorOptions& like) const {
  return {complex_zeros({batch, options_.dim, options_.mode == "dplr" ? options_.state : options_.state / 2}, like)};
}

/// A, b, c of the steps: dim x N x N or dim x N, dim x N, dim x N.
std::vector<Tensor> S4Mixer::prepared() const {
  const Continuous s = continuous();
  if (options_.mode != "dplr") {
    const DiagonalSsm ssm = discretise(s.a, s.b, s.c, s.dt, options_.discretisation);
    return {torch::exp(ssm.log_decay), ssm.b, ssm.c};
  }
  const auto both = [](const Tensor& x) { return torch::cat({x, torch::conj(x)}, -1); };  // the pairs in full
  const Tensor p = both(s.p), dt = s.dt.unsqueeze(-1);
  const Tensor matrix = torch::diag_embed(both(s.a)) - p.unsqueeze(2) * torch::conj(p).unsqueeze(1);
  const Tensor identity = torch::eye(options_.state, s.dt.options().requires_grad(false)).to(matrix.scalar_type());
  const Tensor inverse = torch::linalg_inv(identity - dt / 2 * matrix);
  const Tensor step = torch::matmul(inverse, identity + dt / 2 * matrix);
  // The stored c is (1 - A^length)^T c, which makes the kernel's sum finite.
  const Tensor finite = identity - torch::matrix_power(step, options_.length);
  const Tensor c = torch::linalg_solve(finite.transpose(-1, -2), both(s.c).unsqueeze(-1)).squeeze(-1);
  return {step, torch::matmul(inverse, both(s.b).unsqueeze(-1) * dt).squeeze(-1), c};
}

Tensor S4Mixer::advance(const Tensor& x, std::vector<Tensor>& state, const std::vector<Tensor>& prepared) {
  if (options_.mode != "dplr") return finish(diagonal_step(x, state[0], prepared[0], prepared[1], prepared[2], 2), x);
  state[0] = torch::einsum("hij,bhj->bhi", {prepared[0], state[0]}) + prepared[1] * x.unsqueeze(-1);
  return finish(torch::real((state[0] * prepared[2]).sum(-1)), x);
}

DssMixer::DssMixer(const DssOptions& options) : options_(options) {
  const auto& o = options_;
  norm_ = add<Norm>("norm", o.dim, o.eps);
  log_decay_ = register_parameter("log_decay", torch::randn({o.state}));
  frequency_ = register_parameter("frequency", torch::randn({o.state}));
  c_real_ = weight("c_real", {o.dim, o.state}, 1);
  c_imag_ = weight("c_imag", {o.dim, o.state}, 1);
  d_ = weight("d", {o.dim}, 1);
}

DiagonalSsm DssMixer::ssm() const {
  const Tensor a = torch::complex(-torch::exp(log_decay_), torch::exp(frequency_)).unsqueeze(0);  // 1 x N
  return {a, (torch::exp(a) - 1) / a, torch::complex(c_real_, c_imag_), 1};
}

Tensor DssMixer::whole(const Tensor& x) {
  const Tensor normed = norm_->forward(x);
  return long_convolution(normed, ssm().kernel(x.size(1))) + normed * d_;
}

std::vector<Tensor> DssMixer::empty(int64_t batch, const torch::TensorOptions& like) const {
  return {complex_zeros({batch, options_.dim, options_.state}, like)};
}

std::vector<Tensor> DssMixer::prepared() const {
  const DiagonalSsm s = ssm();
  return {torch::exp(s.log_decay), s.b, s.c};
}

Tensor DssMixer::advance(const Tensor& x, std::vector<Tensor>& state, const std::vector<Tensor>& prepared) {
  const Tensor normed = norm_->forward(x);
  return diagonal_step(normed, state[0], prepared[0], prepared[1], prepared[2], 1) + normed * d_;
}

GssMixer::GssMixer(const GssOptions& o) {
  const int64_t inner = o.inner > 0 ? o.inner : 4 * o.dim;
  wide_ = add<Linear>("wide", o.dim, inner, false);
  narrow_ = add<Linear>("narrow", o.dim, o.narrow, false);
  gate_ = add<Linear>("gate", o.narrow, inner, false);
  proj_ = add<Linear>("proj", inner, o.dim);
  dss_ = add<DssMixer>("dss", DssOptions{.dim = o.narrow, .state = o.state});
}

Tensor GssMixer::gated(const Tensor& x, const Tensor& mixed) {
  return proj_->forward(gate_->forward(mixed) * elementwise::gelu(wide_->forward(x)));
}

Tensor GssMixer::whole(const Tensor& x) { return gated(x, dss_->whole(elementwise::gelu(narrow_->forward(x)))); }

std::vector<Tensor> GssMixer::empty(int64_t batch, const torch::TensorOptions& like) const {
  return dss_->empty(batch, like);
}

std::vector<Tensor> GssMixer::prepared() const { return dss_->prepared(); }

Tensor GssMixer::advance(const Tensor& x, std::vector<Tensor>& state, const std::vector<Tensor>& prepared) {
  return gated(x, dss_->advance(elementwise::gelu(narrow_->forward(x)), state, prepared));
}

}  // namespace tessera
