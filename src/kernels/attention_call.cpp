#include "kernels/attention_call.h"

#include <algorithm>

#include "kernels/panels.h"

namespace tessera {

using torch::Tensor;

HeadRows::HeadRows(const Tensor& x)
    : data(static_cast<const char*>(x.data_ptr())), size(x.element_size()), strides(x.strides().vec()) {}

Tensor with_contiguous_rows(const Tensor& x) { return x.stride(3) == 1 && x.stride(2) % 2 == 0 ? x : x.contiguous(); }

AttentionCall::AttentionCall(const Tensor& queries, const Tensor& all_keys, const Tensor& values,
                             const AttentionPattern& given)
    : kept{with_contiguous_rows(queries), with_contiguous_rows(all_keys), with_contiguous_rows(values)},
      q(kept[0]),
      k(kept[1]),
      v(kept[2]),
      batch(queries.size(0)),
      heads(queries.size(1)),
      groups(all_keys.size(1)),
      length(queries.size(2)),
      keys(all_keys.size(2)),
      dim(queries.size(3)),
      value_dim(values.size(3)),
      narrow(queries.scalar_type() == torch::kBFloat16),
      pattern(given) {
  if (pattern.mask.defined()) pattern.mask = pattern.mask.to(torch::kBool).contiguous();
  if (!pattern.bias.defined()) return;
  bias = pattern.bias.to(torch::kFloat32).expand({batch, heads, length, keys});
}

int64_t AttentionCall::queries_per_block(int64_t most) const {
  constexpr int64_t kScores = 128 * 1024;  // of a block of queries, which stay in a core's second cache
  const int64_t some = std::clamp<int64_t>(kScores / keys, 16, most);
  const int64_t blocks = (length + some - 1) / some;
  return (length + blocks - 1) / blocks;
}

int64_t AttentionCall::first(int64_t query) const {
  return pattern.causal && pattern.window > 0 ? std::max<int64_t>(0, last(query) - pattern.window) : 0;
}

bool AttentionCall::blind(int64_t b, int64_t query) const {
  if (!pattern.mask.defined() || !pattern.causal) return false;
  const bool* real = pattern.mask.data_ptr<bool>() + b * keys;
  return std::none_of(real + first(query), real + last(query), [](bool key) { return key; });
}

std::pair<int64_t, int64_t> AttentionCall::seen(int64_t b, int64_t begin, int64_t end) const {
  for (int64_t query = begin; query < end; ++query)
    if (blind(b, query)) return {0, keys};
  return {first(begin) / kPanel * kPanel, last(end - 1)};
}

cpu::ScoreRow AttentionCall::row(int64_t b, int64_t head, int64_t query, float* scores, int64_t from,
                                 int64_t to) const {
  if (blind(b, query)) return {.scores = scores, .begin = 0, .end = keys, .filled = to, .scale = 0};
  cpu::ScoreRow row{.scores = scores,
                    .begin = first(query) - from,
                    .end = last(query) - from,
                    .filled = to - from,
                    .scale = static_cast<float>(pattern.scale),
                    .cap = static_cast<float>(pattern.cap)};
  if (bias.defined()) {
    const auto strides = bias.strides();
    row.bias = bias.data_ptr<float>() + b * strides[0] + head * strides[1] + query * strides[2] + from * strides[3];
    row.bias_stride = strides[3];
  }
  if (pattern.mask.defined()) row.mask = pattern.mask.data_ptr<bool>() + b * keys + from;
  return row;
}

}  // namespace tessera
