#include "layers/plain_retention.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/options.h"
#include "layers/retention.h"
#include "layers/ssd.h"

namespace tessera {

PlainRetention::PlainRetention(const PlainRetentionOptions& options) : options_(options) {
  const auto& o = options_;
  if (o.heads < 1 || o.dim % o.heads != 0)
    throw Error("width " + std::to_string(o.dim) + " cannot be split into " + std::to_string(o.heads) + " heads",
                "heads");
  if (o.chunk < 1) throw Error("a chunk of " + std::to_string(o.chunk) + " tokens holds nothing", "chunk");
  set_form(o.form);
  qkv_ = add<Linear>("qkv", o.dim, 3 * o.dim);
  proj_ = add<Linear>("proj", o.dim, o.dim);
  decay_ = 1 - torch::exp(torch::linspace(std::log(1.0 / 32), std::log(1.0 / 512), o.heads));
}

void PlainRetention::set_form(const std::string& form, int64_t chunk) {
  check_choice(form, {"parallel", "chunkwise", "recurrent", "softmax"}, "retention: form");
  options_.form = form;
  if (chunk > 0) options_.chunk = chunk;
}

std::shared_ptr<State> PlainRetention::start() const {
  return options_.form == "softmax" ? nullptr : std::make_shared<PlainRetentionState>();
}

namespace {

/// The recurrence of a state space whose steps are all of length one, with the keys as B and the queries as C. Padding
/// has steps of length zero.
SsdInputs as_state_space(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask, const Tensor& decay) {
  const Tensor dt = mask.defined() ? mask.to(v.scalar_type()).unsqueeze(-1).expand({-1, -1, v.size(2)})
                                   : torch::ones({v.size(0), v.size(1), v.size(2)}, v.options().requires_grad(false));
  return {v, dt, decay.log().to(v.device(), v.scalar_type()), k, q};
}

SsdResult token_by_token(const SsdInputs& in, Tensor state) {
  std::vector<Tensor> outputs;
  for (int64_t i = 0; i < in.x.size(1); ++i) {
    const auto one = [i](const Tensor& x) { return x.narrow(1, i, 1); };
    const SsdResult result = ssd_step({one(in.x), one(in.dt), in.a, one(in.b), one(in.c)}, state);
    outputs.push_back(result.y);
    state = result.state;
  }
  return {torch::cat(outputs, 1), state};
}

}  // namespace

/// q, k, v: B x L x heads x d -> the same shape
Tensor PlainRetention::softmax_form(const Tensor& q, const Tensor& k, const Tensor& v) {
  const auto by_head = [](const Tensor& x) { return x.transpose(1, 2); };
  const Tensor scores = torch::matmul(by_head(q), by_head(k).transpose(-2, -1));
  const Tensor weights = tap(
      *this, torch::softmax(scores * causal_decay(decay_, q.size(1)).to(q.device(), q.scalar_type()), -1), "weights");
  return torch::matmul(weights, by_head(v)).transpose(1, 2);
}

Tensor PlainRetention::mix(const Tokens& tokens, PlainRetentionState* state) {
  const auto& o = options_;
  const int64_t length = tokens.x.size(1);
  const Tensor qkv = qkv_->forward(tokens.x).unflatten(-1, {3, o.heads, o.dim / o.heads});  // B x L x 3 x heads x d
  const Tensor q = qkv.select(2, 0) / std::sqrt(static_cast<double>(o.dim / o.heads)), k = qkv.select(2, 1),
               v = qkv.select(2, 2);
  Tensor mixed;
  if (o.form == "softmax") {
    if (state || tokens.mask.defined())
      throw Error("the form \"softmax\" reads whole sequences without padding", "retention",
                  "choose \"chunkwise\" or \"recurrent\"");
    mixed = softmax_form(q, k, v);
  } else {
    const SsdInputs in = as_state_space(q, k, v, tokens.mask, decay_);
    const Tensor before = state ? state->state : Tensor();
    const SsdResult result = o.form == "recurrent"
                                 ? token_by_token(in, before)
                                 : ssd_scan(in, before, std::min(o.form == "parallel" ? length : o.chunk, length));
    if (state) state->state = result.state;
    mixed = result.y;
  }
  return tap(*this, proj_->forward(tap(*this, mixed.flatten(2), "context")));
}

}  // namespace tessera
