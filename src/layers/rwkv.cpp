#include "layers/rwkv.h"

#include "kernels/inference.h"
#include "layers/elementwise.h"
#include "layers/mixers.h"
#include "layers/recurrence_gradient.h"

namespace tessera {

TESSERA_OPTIONS(RwkvTimeOptions, dim, inner, longest)
TESSERA_OPTIONS(RwkvChannelOptions, dim, hidden)

namespace {

const MixerRegistration<RwkvTimeMixer, RwkvTimeOptions> time_kind("rwkv-time");
const MixerRegistration<RwkvChannelMixer, RwkvChannelOptions> channel_kind("rwkv-channel");

/// Each token's predecessor, zeros before the first.
Tensor shifted(const Tensor& x) { return torch::constant_pad_nd(x, {0, 0, 1, -1}); }

Tensor blend(const Tensor& x, const Tensor& before, const Tensor& share) {
  return x * share.flatten() + before * (1 - share.flatten());
}

}  // namespace

RwkvTimeMixer::RwkvTimeMixer(const RwkvTimeOptions& options) : options_(options) {
  auto& o = options_;
  if (o.inner <= 0) o.inner = o.dim;
  decay_ = register_parameter("decay", torch::linspace(-5, 3, o.inner));
  bonus_ = weight("bonus", {o.inner}, 0.5);
  mix_key_ = register_parameter("mix_key", torch::linspace(0, 1, o.dim).view({1, 1, -1}));
  mix_value_ = register_parameter("mix_value", torch::linspace(0, 1, o.dim).view({1, 1, -1}));
  mix_receptance_ = register_parameter("mix_receptance", torch::linspace(0, 1, o.dim).sqrt().view({1, 1, -1}));
  key_ = add<Linear>("key", o.dim, o.inner, false), value_ = add<Linear>("value", o.dim, o.inner, false);
  receptance_ = add<Linear>("receptance", o.dim, o.inner, false);
  proj_ = add<Linear>("proj", o.inner, o.dim, false);
}

Tensor RwkvTimeMixer::whole(const Tensor& x) {
  const Tensor before = shifted(x), k = key_->forward(blend(x, before, mix_key_));
  const Tensor v = value_->forward(blend(x, before, mix_value_));
  const Tensor gate = elementwise::sigmoid(receptance_->forward(blend(x, before, mix_receptance_)));
  return proj_->forward(gate * means(k, v));
}

/// What the tokens of whole sequences read, B x L x inner: by a kernel where it can read them, otherwise side by side
/// or, as that takes memory for L x L weights of each channel, one after the other.
Tensor RwkvTimeMixer::means(const Tensor& given_k, const Tensor& given_v) const {
  const Tensor k = widened(given_k), v = widened(given_v);
  if (fit_kernels({k, v, decay_, bonus_})) return weighted_means_with_gradient(k, v, torch::exp(decay_), bonus_);
  const int64_t length = k.size(1);
  if (length > options_.longest) {
    std::vector<Tensor> read, state = empty(k.size(0), k.options().requires_grad(false));
    for (int64_t t = 0; t < length; ++t) read.push_back(mean(k.select(1, t), v.select(1, t), state));
    return torch::stack(read, 1);
  }
  const Tensor at = torch::arange(length, k.options().requires_grad(false));
  const Tensor age = (at.unsqueeze(1) - at.unsqueeze(0) - 1).unsqueeze(-1);  // L x L x 1, -1 for the token itself
  const Tensor weight = torch::where(age.lt(0), bonus_, -torch::exp(decay_) * age) + k.unsqueeze(1);  // B x L x L x D
  const Tensor shares = weight.masked_fill(age.lt(-1), -INFINITY).softmax(2);
  return (shares * v.unsqueeze(1)).sum(2);
}

std::vector<Tensor> RwkvTimeMixer::empty(int64_t batch, const torch::TensorOptions& like) const {
  const Tensor none = torch::zeros({batch, options_.inner}, like);
  return {torch::zeros({batch, options_.dim}, like), none, none, none - 1e38};
}

/// What one token reads, and the state behind it but for the last input.
Tensor RwkvTimeMixer::mean(const Tensor& k, const Tensor& v, std::vector<Tensor>& state) const {
  const auto joined = [&](const Tensor& old, const Tensor& next) {
    const Tensor most = torch::maximum(old, next), kept = torch::exp(old - most), entered = torch::exp(next - most);
    return std::array<Tensor, 3>{kept * state[1] + entered * v, kept * state[2] + entered, most};
  };
  const auto read = joined(state[3], k + bonus_), next = joined(state[3] - torch::exp(decay_), k);
  state = {state[0], next[0], next[1], next[2]};
  return read[0] / read[1];
}

Tensor RwkvTimeMixer::advance(const Tensor& x, std::vector<Tensor>& state, const std::vector<Tensor>&) {
  const Tensor k = key_->forward(blend(x, state[0], mix_key_)), v = value_->forward(blend(x, state[0], mix_value_));
  const Tensor gate = elementwise::sigmoid(receptance_->forward(blend(x, state[0], mix_receptance_)));
  const Tensor read = mean(k, v, state);
  state[0] = x;
  return proj_->forward(gate * read);
}

RwkvChannelMixer::RwkvChannelMixer(const RwkvChannelOptions& options) : options_(options) {
  auto& o = options_;
  if (o.hidden <= 0) o.hidden = 4 * o.dim;
  mix_key_ = register_parameter("mix_key", torch::linspace(0, 1, o.dim).view({1, 1, -1}));
  mix_receptance_ = register_parameter("mix_receptance", torch::linspace(0, 1, o.dim).view({1, 1, -1}));
  key_ = add<Linear>("key", o.dim, o.hidden, false), value_ = add<Linear>("value", o.hidden, o.dim, false);
  receptance_ = add<Linear>("receptance", o.dim, o.dim, false);
}

Tensor RwkvChannelMixer::mixed(const Tensor& x, const Tensor& before) {
  const Tensor k = torch::relu(key_->forward(blend(x, before, mix_key_))).pow(2);
  return elementwise::sigmoid(receptance_->forward(blend(x, before, mix_receptance_))) * value_->forward(k);
}

Tensor RwkvChannelMixer::whole(const Tensor& x) { return mixed(x, shifted(x)); }

std::vector<Tensor> RwkvChannelMixer::empty(int64_t batch, const torch::TensorOptions& like) const {
  return {torch::zeros({batch, options_.dim}, like)};
}

Tensor RwkvChannelMixer::advance(const Tensor& x, std::vector<Tensor>& state, const std::vector<Tensor>&) {
  const Tensor y = mixed(x, state[0]);
  state[0] = x;
  return y;
}

}  // namespace tessera
