#include "layers/hyena.h"

#include <cmath>

#include "core/error.h"
#include "layers/diagonal_ssm.h"
#include "layers/mixers.h"

namespace tessera {

TESSERA_OPTIONS(H3Options, dim, state, head_dim)
TESSERA_OPTIONS(HyenaOptions, dim, order, length, filter_dim, embedding, kernel, shift)

namespace {

const MixerRegistration<H3Mixer, H3Options> h3_kind("h3");
const MixerRegistration<HyenaMixer, HyenaOptions> hyena_kind("hyena");

}  // namespace

H3Mixer::H3Mixer(const H3Options& options) : options_(options), heads_(0) {
  const auto& o = options_;
  if (o.head_dim < 1 || o.dim % o.head_dim != 0 || o.state < 2 || o.state % 2 != 0)
    throw Error("heads of " + std::to_string(o.head_dim) + " of " + std::to_string(o.dim) + " channels, with " +
                    std::to_string(o.state) + " states, do not fit together",
                "h3");
  heads_ = o.dim / o.head_dim;
  q_ = add<Linear>("q", o.dim, o.dim), k_ = add<Linear>("k", o.dim, o.dim), v_ = add<Linear>("v", o.dim, o.dim);
  shift_b_ = weight("shift_b", {o.dim, o.state}, 1);
  shift_c_ = weight("shift_c", {1, o.dim, o.state}, 1 / std::sqrt(static_cast<double>(o.state)));
  shift_d_ = weight("shift_d", {o.dim}, 1);
  const int64_t pairs = o.state / 2;
  a_real_ = register_parameter("a_real", torch::full({heads_, pairs}, std::log(0.5)));
  a_imag_ = register_parameter("a_imag", (torch::arange(pairs, torch::kFloat32) * M_PI).repeat({heads_, 1}));
  b_ = weight("b", {heads_, pairs, 2}, 1);
  c_ = weight("c", {1, heads_, pairs, 2}, std::sqrt(0.5));
  log_dt_ = register_parameter("log_dt", torch::empty({heads_}).uniform_(std::log(1e-3), std::log(1e-1)));
  d_ = weight("d", {heads_}, 1);
  proj_ = add<Linear>("proj", o.dim, o.dim);
}

/// Tap j is what the state keeps of the input j tokens ago, the sum of b_n c_{n + j}.
Tensor H3Mixer::shift() const {
  const int64_t size = 2 * options_.state;
  const Tensor product = torch::conj(torch::fft_rfft(shift_b_, size)) * torch::fft_rfft(shift_c_[0], size);
  return torch::fft_irfft(product, size).narrow(1, 0, options_.state);
}

/// Decay, b, c and the taps of the shift.
std::vector<Tensor> H3Mixer::prepared() const {
  const Tensor a = torch::complex(-torch::exp(a_real_), a_imag_);
  const DiagonalSsm ssm =
      discretise(a, as_complex(b_), as_complex(c_)[0], torch::exp(log_dt_).unsqueeze(1), "bilinear");
  return {ssm.log_decay, ssm.b, ssm.c, shift()};
}

Tensor H3Mixer::kernel(int64_t length) const {
  const auto p = prepared();
  return DiagonalSsm{p[0], p[1], p[2]}.kernel(length);
}

Tensor H3Mixer::whole(const Tensor& x) {
  const int64_t batch = x.size(0), length = x.size(1), width = options_.head_dim;
  const auto split = [&](const Tensor& y) { return y.reshape({batch, length, heads_, width}); };
  const Tensor k = k_->forward(x), shifted = long_convolution(k, shift()) + k * shift_d_;
  const Tensor met = torch::einsum("blhi,blhj->blhij", {split(shifted), split(v_->forward(x))});
  const Tensor taps = kernel(length).unsqueeze(1).expand({heads_, width * width, length}).reshape({-1, length});
  const Tensor kept =
      long_convolution(met.flatten(2), taps).view(met.sizes()) + met * d_.view({heads_, 1, 1});  // B L h i j
  return proj_->forward(torch::einsum("blhi,blhij->blhj", {split(q_->forward(x)), kept}).transpose(2, 3).flatten(2));
}

std::vector<Tensor> H3Mixer::empty(int64_t batch, const torch::TensorOptions& like) const {
  const int64_t width = options_.head_dim;
  return {torch::zeros({batch, options_.dim, options_.state}, like),
          torch::zeros({batch, heads_, width, width, options_.state / 2}, like.dtype(torch::kComplexFloat))};
}

/// The state: the last keys, the latest first; the memory, B x heads x i x j x states.
Tensor H3Mixer::advance(const Tensor& x, std::vector<Tensor>& state, const std::vector<Tensor>& p) {
  const int64_t batch = x.size(0), width = options_.head_dim;
  const auto split = [&](const Tensor& y) { return y.reshape({batch, heads_, width}); };
  const Tensor k = k_->forward(x);
  state[0] = torch::cat({k.unsqueeze(-1), state[0].narrow(2, 0, options_.state - 1)}, 2);
  const Tensor shifted = (state[0] * p[3]).sum(-1) + k * shift_d_;
  const Tensor met = torch::einsum("bhi,bhj->bhij", {split(shifted), split(v_->forward(x))});
  const auto by_head = [&](const Tensor& y) { return y.view({heads_, 1, 1, -1}); };
  state[1] = state[1] * by_head(torch::exp(p[0])) + by_head(p[1]) * met.unsqueeze(-1);
  const Tensor kept = 2 * torch::real((state[1] * by_head(p[2])).sum(-1)) + met * d_.view({heads_, 1, 1});
  return proj_->forward(torch::einsum("bhi,bhij->bhj", {split(q_->forward(x)), kept}).transpose(1, 2).flatten(1));
}

HyenaMixer::HyenaMixer(const HyenaOptions& options) : RereadingMixer(true), options_(options) {
  const auto& o = options_;
  if (o.order < 2 || o.embedding < 3 || o.embedding % 2 == 0 || o.length < 2)
    throw Error("order " + std::to_string(o.order) + ", features " + std::to_string(o.embedding) + " and length " +
                    std::to_string(o.length) + " make no filter",
                "hyena", "an order and a length of at least 2, and an odd number of features from 3 on");
  in_ = add<Linear>("in", o.dim, (o.order + 1) * o.dim);
  convolution_ = add<CausalConvolution>("convolution", (o.order + 1) * o.dim, o.kernel, true);
  const int64_t filters = o.dim * (o.order - 1), bands = (o.embedding - 1) / 2;
  filter1_ = add<Linear>("filter1", o.embedding, o.filter_dim);
  filter2_ = add<Linear>("filter2", o.filter_dim, o.filter_dim);
  filter3_ = add<Linear>("filter3", o.filter_dim, o.filter_dim);
  filter_out_ = add<Linear>("filter_out", o.filter_dim, filters, false);
  frequency_ = ones("frequency", {1, o.filter_dim});
  bias_ = weight("bias", {filters}, 1);
  // Decays from a hundredth within 0.3 of the length to one within 1.5 of it; time runs from 0 to 1.
  decay_ = register_parameter("decay",
                              torch::linspace(std::log(0.01) / 1.5, std::log(0.01) / 0.3, filters).view({1, 1, -1}));
  time_ = register_buffer("time", torch::linspace(0, 1, o.length).view({1, -1, 1}));
  const Tensor angle = torch::arange(o.length, torch::kFloat32).unsqueeze(1) *
                       (2 * M_PI / static_cast<double>(o.length)) *
                       torch::linspace(1e-4, static_cast<double>(bands) - 1, bands);
  features_ = register_parameter("features", torch::cat({time_[0], angle.cos(), -angle.sin()}, 1).unsqueeze(0));
  out_ = add<Linear>("out", o.dim, o.dim);
}

Tensor HyenaMixer::filter(int64_t length) {
  if (length > options_.length)
    throw Error(std::to_string(length) + " tokens are longer than the filters, " + std::to_string(options_.length),
                "hyena", "shorten the text");
  const auto sine = [&](Linear& layer, const Tensor& x) { return torch::sin(frequency_ * layer.forward(x)); };
  const Tensor hidden =
      sine(*filter3_, sine(*filter2_, sine(*filter1_, features_[0].narrow(0, 0, length))));  // length x filter_dim
  const Tensor fading = torch::exp(-time_[0].narrow(0, 0, length) * decay_[0].abs()) + options_.shift;
  return filter_out_->forward(hidden) * fading;
}

Tensor HyenaMixer::mix(const Tokens& tokens) {
  const auto& o = options_;
  const int64_t length = tokens.x.size(1);
  const auto parts = convolution_->forward(in_->forward(tokens.x), {}, nullptr).chunk(o.order + 1, -1);
  const Tensor filters = tap(*this, filter(length), "filter").view({length, o.dim, o.order - 1});
  const Tensor bias = bias_.view({o.dim, o.order - 1});
  Tensor v = parts[static_cast<size_t>(o.order)];
  for (int64_t i = 0; i < o.order - 1; ++i) {
    v = v * parts[static_cast<size_t>(o.order - 1 - i)];
    v = long_convolution(v, filters.select(2, i).t()) + v * bias.select(1, i);
  }
  return out_->forward(v * parts[0]);
}

}  // namespace tessera
