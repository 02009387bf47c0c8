#include "layers/soft_mask_attention.h"

#include <cmath>

#include "core/error.h"
#include "layers/mixers.h"

namespace tessera {

TESSERA_OPTIONS(SoftMaskOptions, dim, heads, qkv_bias, theta, rate)

namespace {

const MixerRegistration<SoftMaskAttention, SoftMaskOptions> registration("soft-mask-attention");

int64_t head_width(const SoftMaskOptions& o) {
  if (o.heads < 1 || o.dim % o.heads != 0)
    throw Error("width " + std::to_string(o.dim) + " cannot be split into " + std::to_string(o.heads) + " heads",
                "soft-mask attention");
  return o.dim / o.heads;
}

}  // namespace

SoftMaskAttention::SoftMaskAttention(const SoftMaskOptions& options)
    : options_(options), rotary_({.theta = options.theta, .adjacent = true}, head_width(options)) {
  qkv_ = add<Linear>("qkv", options.dim, 3 * options.dim, options.qkv_bias);
  proj_ = add<Linear>("proj", options.dim, options.dim);
  set_rate(options.rate);
}

void SoftMaskAttention::set_rate(double rate) {
  if (!(rate >= 0 && rate <= 1)) throw Error("a rate lies between 0 and 1", "soft-mask attention: rate");
  options_.rate = rate;
}

Tensor SoftMaskAttention::forward(const Tokens& tokens) {
  const int64_t batch = tokens.x.size(0), length = tokens.x.size(1), heads = options_.heads;
  const Tensor qkv = qkv_->forward(tokens.x).view({batch, length, 3, heads, -1}).permute({2, 0, 3, 1, 4});
  const auto like = qkv.options().requires_grad(false);
  const Rotation rotation = rotary_.rotation(torch::arange(length, like.dtype(torch::kInt64)).view({1, -1, 1}), like);
  const Tensor q = rotation.apply(qkv[0]), k = rotation.apply(qkv[1]);  // B x heads x L x d
  Tensor scores = torch::matmul(q, k.transpose(-2, -1)) / std::sqrt(static_cast<double>(q.size(3)));
  if (tokens.mask.defined())
    scores = scores.masked_fill(tokens.mask.to(torch::kBool).logical_not().unsqueeze(1).unsqueeze(1), -1e9);
  const double rate = is_training() ? options_.rate : 0;
  const Tensor all = torch::ones({1, 1, length, length}, like);
  const Tensor weights = scores.softmax(-1) * tap(*this, rate * all + (1 - rate) * all.tril(), "mask");
  const Tensor mixed = torch::matmul(tap(*this, weights, "weights"), qkv[2]);
  return tap(*this, proj_->forward(mixed.transpose(1, 2).reshape({batch, length, options_.dim})));
}

std::vector<double> soft_mask_rates(double rate, int64_t steps, int64_t until, const std::string& schedule) {
  check_choice(schedule, {"linear", "constant"}, "soft mask: schedule");
  std::vector<double> rates;
  for (int64_t step = 0; step < steps; ++step) {
    const double done = until > 1 ? static_cast<double>(step) / static_cast<double>(until - 1) : 0;
    rates.push_back(step >= until ? 0 : schedule == "linear" ? rate * (1 - done) : rate);
  }
  return rates;
}

}  // namespace tessera
