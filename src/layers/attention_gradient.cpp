#include "layers/attention_gradient.h"

#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <limits>

namespace tessera {
namespace {

constexpr int64_t kScores = 2 << 20;  // of a block of queries

/// What is known of a call beside its tensors.
struct Known : torch::CustomClassHolder {
  AttentionPattern pattern;
};

/// The queries [first, first + rows) of all heads; the heads that share a key stand one after the other.
struct QueryBlock {
  const AttentionPattern& pattern;
  int64_t batch, heads, groups, length, keys, first, rows;

  /// B x heads x L x width -> B x groups x (heads / groups * rows) x width
  Tensor of(const Tensor& x) const {
    return x.narrow(2, first, rows).reshape({batch, groups, heads / groups * rows, x.size(3)});
  }
  Tensor by_head(const Tensor& x) const { return x.view({batch, heads, rows, x.size(-1)}); }
  Tensor by_group(const Tensor& x) const { return x.view({batch, groups, heads / groups * rows, x.size(-1)}); }

  /// True where a key is hidden from a query; undefined where none is.
  Tensor hidden(const Tensor& like) const {
    Tensor all;
    const auto hide = [&](const Tensor& more) { all = all.defined() ? all | more : more; };
    if (pattern.causal && (length > 1 || pattern.window > 0)) {
      const auto numbers = like.options().dtype(torch::kInt64);
      const Tensor query = torch::arange(keys - length + first, keys - length + first + rows, numbers).unsqueeze(1);
      const Tensor ahead = torch::arange(keys, numbers).unsqueeze(0) - query;  // rows x S
      hide(ahead.gt(0));
      if (pattern.window > 0) hide(ahead.le(-pattern.window));
    }
    if (pattern.mask.defined()) hide(pattern.mask.to(torch::kBool).logical_not().view({batch, 1, 1, keys}));
    return all;
  }
};

/// The weights of a block, float32, and what the cap makes of a change of its scores (undefined: nothing).
struct Weights {
  Tensor weights, cap_slope;  // B x heads x rows x S
};

Weights weights_of(const QueryBlock& block, const Tensor& q, const Tensor& k) {
  const AttentionPattern& pattern = block.pattern;
  Tensor scores = torch::matmul(block.of(q) * pattern.scale, k.transpose(-2, -1)).to(torch::kFloat32);
  scores = block.by_head(scores);
  Weights result;
  if (pattern.cap > 0) {
    const Tensor bounded = torch::tanh(scores / pattern.cap);
    result.cap_slope = 1 - bounded * bounded;
    scores = bounded * pattern.cap;
  }
  if (pattern.bias.defined()) {
    const Tensor& bias = pattern.bias;
    scores = scores + (bias.dim() > 1 && bias.size(-2) > 1 ? bias.narrow(-2, block.first, block.rows) : bias);
  }
  const Tensor hidden = block.hidden(scores);
  if (hidden.defined()) scores = scores.masked_fill(hidden, std::numeric_limits<float>::lowest() / 2);
  result.weights = torch::softmax(scores, -1);
  return result;
}

struct FusedAttention : torch::autograd::Function<FusedAttention> {
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& q, const Tensor& k, const Tensor& v,
                        const AttentionPattern& pattern) {
    const Tensor out = fused_attention(q, k, v, pattern);
    const auto known = c10::make_intrusive<Known>();
    known->pattern = pattern;
    context->saved_data["known"] = c10::IValue::make_capsule(known);
    context->save_for_backward({q, k, v, out});
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const auto known = c10::static_intrusive_pointer_cast<Known>(context->saved_data.at("known").toCapsule());
    const Tensor &q = saved[0], &k = saved[1], &v = saved[2];
    const Tensor gradient = gradients[0].to(q.scalar_type());
    const auto wide = q.options().dtype(torch::kFloat32);
    const int64_t length = q.size(2), keys = k.size(2), heads = q.size(1);
    const int64_t most = std::clamp<int64_t>(kScores / std::max<int64_t>(1, q.size(0) * heads * keys), 16, length);
    // The part of a score's gradient that all keys of its query share.
    const Tensor shared = (gradient.to(torch::kFloat32) * saved[3].to(torch::kFloat32)).sum(-1, true);
    Tensor to_k = torch::zeros(k.sizes(), wide), to_v = torch::zeros(v.sizes(), wide);
    std::vector<Tensor> to_q;
    for (int64_t first = 0; first < length; first += most) {
      const QueryBlock block{known->pattern, q.size(0), heads, k.size(1),
                             length,         keys,      first, std::min(most, length - first)};
      const auto [weights, slope] = weights_of(block, q, k);
      const Tensor from_out = block.of(gradient);  // B x groups x rows x dv
      to_v = to_v + torch::matmul(block.by_group(weights.to(q.scalar_type())).transpose(-2, -1), from_out);
      const Tensor to_weights = block.by_head(torch::matmul(from_out, v.transpose(-2, -1)).to(torch::kFloat32));
      Tensor to_scores = weights * (to_weights - shared.narrow(2, first, block.rows));
      if (slope.defined()) to_scores = to_scores * slope;
      const Tensor narrow = block.by_group(to_scores.to(q.scalar_type())) * known->pattern.scale;
      to_q.push_back(block.by_head(torch::matmul(narrow, k)));
      to_k = to_k + torch::matmul(narrow.transpose(-2, -1), block.of(q));
    }
    return {torch::cat(to_q, 2), to_k.to(k.scalar_type()), to_v.to(v.scalar_type()), {}};
  }
};

}  // namespace

Tensor attention_with_gradient(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionPattern& pattern) {
  return FusedAttention::apply(q, k, v, pattern);
}

}  // namespace tessera
