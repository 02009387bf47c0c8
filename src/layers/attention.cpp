#include "layers/attention.h"

#include <cmath>
#include <limits>
#include <stdexcept>

#include "core/compat.h"
#include "core/error.h"
#include "kernels/norm.h"
#include "layers/attention_gradient.h"

namespace tessera {

Attention::Attention(const AttentionOptions& options, std::shared_ptr<PositionBias> bias)
    : options_(options), bias_(std::move(bias)) {
  const auto& o = options_;
  if (o.heads < 1 || (o.head_dim < 1 && o.dim % o.heads != 0))
    throw Error("width " + std::to_string(o.dim) + " cannot be split into " + std::to_string(o.heads) + " heads",
                "heads");
  if (o.heads % o.groups() != 0)
    throw Error(std::to_string(o.heads) + " heads cannot share " + std::to_string(o.groups()) + " keys and values",
                "kv_heads", "the number of heads is a multiple of it");
  qkv_ = add<Linear>("qkv", o.dim, (o.heads + 2 * o.groups()) * o.width(), o.qkv_bias && o.key_bias);
  if (o.qkv_bias && !o.key_bias) {
    query_bias_ = weight("query_bias", {o.heads * o.width()}, 0);
    value_bias_ = weight("value_bias", {o.groups() * o.width()}, 0);
  }
  proj_ = add<Linear>("proj", o.heads * o.width(), o.dim, o.proj_bias);
  if (o.qk_norm) {
    q_norm_ = add<Norm>("q_norm", o.width(), o.eps);
    k_norm_ = add<Norm>("k_norm", o.width(), o.eps);
  }
  if (o.rotary) rotary_.emplace(*o.rotary, o.width());
}

namespace {

/// Of something of the keys, B x S, that of the `queries` tokens of this call. @param place  see KeysAndValues
Tensor of_queries(const Tensor& of_keys, int64_t queries, const Tensor& place) {
  return place.defined() ? of_keys.index_select(1, place) : of_keys.narrow(1, of_keys.size(1) - queries, queries);
}

/// B x 1 x L x L, true where a key belongs to another sequence of its row than the query.
/// @param number  B x L, of the sequence that each token belongs to
Tensor in_another_sequence(const Tensor& number) { return number.unsqueeze(2).ne(number.unsqueeze(1)).unsqueeze(1); }

}  // namespace

Tensor Attention::project(const Tensor& x) {
  const Tensor qkv = qkv_->forward(x, {.narrow = true});
  return query_bias_.defined() ? qkv + torch::cat({query_bias_, torch::zeros_like(value_bias_), value_bias_}) : qkv;
}

Tensor Attention::onto(const Tensor& residual, const Tokens& tokens, State* state) {
  KeyValueCache* cache = state ? &dynamic_cast<KeyValueCache&>(*state) : nullptr;
  return last_layer(*this, *proj_, context(tokens, cache), residual);
}

/// What the heads have read, side by side: B x L x heads d.
Tensor Attention::context(const Tokens& tokens, KeyValueCache* cache) {
  const auto& o = options_;
  const int64_t batch = tokens.x.size(0), length = tokens.x.size(1);
  Tensor parts = project(tokens.x).view({batch, length, o.heads + 2 * o.groups(), o.width()});
  // Cut at once, so that the parts' gradients are put together once. B x heads x L x d
  const auto cut = parts.split_with_sizes({o.heads, o.groups(), o.groups()}, 2);
  Tensor q = cut[0].transpose(1, 2), k = cut[1].transpose(1, 2);
  const auto type = q.scalar_type();
  if (q_norm_) q = q_norm_->forward(q, type), k = k_norm_->forward(k, type);
  if (rotary_) {
    if (cache && !tokens.at.defined()) throw std::logic_error("tokens that go on with a sequence need coordinates");
    const Tensor at = tokens.at.defined() ? tokens.at : key_positions(tokens.mask, length, q.options()).unsqueeze(-1);
    const Rotation rotation = rotary_->rotation(at, q.options().dtype(torch::kFloat32));
    if (!q_norm_ && qkv_->is_prepared()) {  // queries and keys lie together and belong to nobody else
      Tensor turned = parts.narrow(2, 0, o.heads + o.groups());
      rotate_in_place(turned, rotation.cosine.squeeze(1), rotation.sine.squeeze(1), rotation.adjacent);
    } else {
      q = rotation.apply(q).to(type), k = rotation.apply(k).to(type);
    }
  }
  KeysAndValues seen{k, cut[2].transpose(1, 2), tokens.mask};
  if (cache) seen = cache->append(seen), q = q.to(seen.keys.scalar_type());
  const int64_t keys = seen.keys.size(2);
  AttentionPattern pattern{.mask = seen.mask, .causal = o.causal, .window = o.window, .scale = o.scale, .cap = o.cap};
  const bool packed = o.causal && !cache && length > 1 && tokens.at.defined() && tokens.at.size(-1) == 2;
  // What the pattern cannot say is said by a bias: windows of real tokens, spans, several sequences in a row.
  if (packed || tokens.span.defined() || (o.window > 0 && (seen.mask.defined() || !o.causal))) {
    pattern = {.scale = o.scale, .cap = o.cap};
    pattern.bias = attention_bias(seen.mask, o.causal, o.window, length, keys, q.options(), tokens.span, seen.place);
    if (packed)  // the lowest hides already
      pattern.bias = pattern.bias.masked_fill(in_another_sequence(tokens.at.select(-1, 1)), pattern.bias.min());
  }
  if (bias_) {
    const Tensor at =
        cache || !tokens.at.defined() ? key_positions(seen.mask, keys, q.options()) : tokens.at.select(-1, 0);
    const Tensor distance_bias = bias_->forward(of_queries(at, length, seen.place), at);
    pattern.bias = pattern.bias.defined() ? pattern.bias + distance_bias : distance_bias;
  }
  const Tensor mixed = attend(*this, q, seen.keys, seen.values, pattern);
  return tap(*this, mixed.transpose(1, 2).reshape({batch, length, o.heads * o.width()}), "context");
}

namespace {

/// Each group's keys or values once for each of the heads that it serves.
Tensor for_each_head(const Tensor& x, int64_t heads) {
  return x.size(1) == heads ? x : x.repeat_interleave(heads / x.size(1), 1);
}

/// On another device than the CPU LibTorch's fused kernels are the fast ones.
bool can_use_library(const Tensor& q, const AttentionPattern& pattern, bool learns) {
  return !q.is_cpu() && !learns && pattern.cap == 0;
}

Tensor by_library(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionPattern& pattern) {
  const int64_t heads = q.size(1), length = q.size(2), keys = k.size(2);
  // Its own form of "causal" counts from the first key.
  const bool causal =
      pattern.causal && length == keys && !pattern.mask.defined() && !pattern.bias.defined() && pattern.window == 0;
  Tensor bias =
      causal ? Tensor() : attention_bias(pattern.mask, pattern.causal, pattern.window, length, keys, q.options());
  if (pattern.bias.defined()) bias = bias.defined() ? bias + pattern.bias : pattern.bias;
  if (bias.defined()) bias = bias.to(q.scalar_type()).expand({q.size(0), heads, length, keys});
  return library_attention(q, for_each_head(k, heads), for_each_head(v, heads), bias, causal, pattern.scale);
}

}  // namespace

Tensor attend(const torch::nn::Module& module, const Tensor& q, const Tensor& k, const Tensor& v,
              AttentionPattern pattern, const char* weights_name) {
  if (pattern.scale == 0) pattern.scale = 1 / std::sqrt(static_cast<double>(q.size(-1)));
  const bool learns = torch::GradMode::is_enabled() && (q.requires_grad() || k.requires_grad() || v.requires_grad());
  const bool bias_learns = torch::GradMode::is_enabled() && pattern.bias.defined() && pattern.bias.requires_grad();
  if (!Taps::wanted(module, weights_name) && !bias_learns && can_fuse_attention(q, k, v))
    return learns ? attention_with_gradient(q, k, v, pattern) : fused_attention(q, k, v, pattern);
  if (!Taps::wanted(module, weights_name) && can_use_library(q, pattern, learns || bias_learns))
    return by_library(q, k.to(q.scalar_type()), v.to(q.scalar_type()), pattern);
  const int64_t batch = q.size(0), heads = q.size(1), length = q.size(2), keys = k.size(2), groups = k.size(1);
  // The heads that share a key stand one after the other, so that one product serves them all.
  const Tensor grouped = (q * pattern.scale).reshape({batch, groups, heads / groups * length, q.size(3)});
  Tensor scores = torch::matmul(grouped, k.transpose(-2, -1)).view({batch, heads, length, keys});
  if (pattern.cap > 0) scores = torch::tanh(scores / pattern.cap) * pattern.cap;
  if (pattern.bias.defined()) scores = scores + pattern.bias;
  const Tensor hidden = attention_bias(pattern.mask, pattern.causal, pattern.window, length, keys, q.options());
  if (hidden.defined()) scores = scores + hidden;
  const Tensor weights = tap(module, torch::softmax(scores, -1), weights_name);
  return torch::matmul(weights.view({batch, groups, heads / groups * length, keys}), v)
      .view({batch, heads, length, v.size(3)});
}

namespace {

/// Which of the keys each of the last `queries` tokens shares a span with: B x 1 x L x S.
Tensor in_one_span(const Tensor& span, int64_t queries, int64_t keys) {
  const Tensor same = span.unsqueeze(2).eq(span.unsqueeze(1)) & span.ge(0).unsqueeze(2);  // B x L x L
  return torch::constant_pad_nd(same, {keys - queries, 0}, false).unsqueeze(1);
}

}  // namespace

Tensor attention_bias(const Tensor& mask, bool causal, int64_t window, int64_t queries, int64_t keys,
                      const torch::TensorOptions& like, const Tensor& span, const Tensor& place) {
  const auto flags = like.dtype(torch::kBool).requires_grad(false);
  Tensor hidden;
  if (causal && queries > 1) hidden = torch::ones({queries, keys}, flags).triu(keys - queries + 1);  // L x S
  const auto hide = [&](const Tensor& more) { hidden = hidden.defined() ? hidden | more : more; };
  if (window > 0 && window < keys) {
    const Tensor at = key_positions(mask, keys, like);
    const Tensor distance = of_queries(at, queries, place).unsqueeze(2) - at.unsqueeze(1);  // B x L x S
    hide(distance.ge(window).unsqueeze(1));
  }
  if (span.defined() && hidden.defined()) hidden = hidden & in_one_span(span, queries, keys).logical_not();
  if (mask.defined()) hide(mask.to(torch::kBool).logical_not().unsqueeze(1).unsqueeze(1));  // B x 1 x 1 x S
  if (!hidden.defined()) return {};
  // Half of the lowest value: added to a score it must not overflow to -inf.
  const double lowest = like.dtype() == torch::kFloat32 ? std::numeric_limits<float>::lowest() / 2 : -30000.0;
  return torch::zeros(hidden.sizes(), like.requires_grad(false)).masked_fill_(hidden, lowest);
}

Tensor key_positions(const Tensor& mask, int64_t keys, const torch::TensorOptions& like) {
  if (!mask.defined()) return torch::arange(keys, like.dtype(torch::kInt64).requires_grad(false)).unsqueeze(0);
  const Tensor real = mask.to(torch::kInt64), place = torch::arange(1, keys + 1, real.options()).unsqueeze(0);  // 1 x S
  const Tensor last = std::get<0>((place * real).cummax(1));  // the last real one up to here, counted from 1
  return (real.cumsum(1) - 1 + place - last).clamp_min(0);
}

std::string qkv_parts(int64_t heads, int64_t kv_heads) {
  const std::string kv = std::to_string(kv_heads);
  return "[{0:" + std::to_string(heads) + "|1:" + kv + "|2:" + kv + "}]";
}

}  // namespace tessera
