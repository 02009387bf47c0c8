#pragma once
#include <utility>
#include <vector>

#include "kernels/attention.h"
#include "kernels/cpu/softmax.h"

namespace tessera {

/// Heads of tokens in memory, where a row, the numbers of one token for one head, is contiguous.
struct HeadRows {
  explicit HeadRows(const torch::Tensor& x);  ///< batch x heads x tokens x width
  const void* at(int64_t batch, int64_t head, int64_t row) const {
    return data + size * (batch * strides[0] + head * strides[1] + row * strides[2]);
  }
  const char* data;
  int64_t size;
  std::vector<int64_t> strides;
};

/// x, copied where its rows are not as kernels read them: contiguous, and an even number of numbers apart.
torch::Tensor with_contiguous_rows(const torch::Tensor& x);

/// A call of fused_attention(), or of its gradients, as its kernels see it. It keeps what it points to.
struct AttentionCall {
  AttentionCall(const torch::Tensor& q, const torch::Tensor& k, const torch::Tensor& v,
                const AttentionPattern& pattern);

  int64_t size() const { return narrow ? 2 : 4; }
  /// A block of `most` queries at most, all of which are as long but for the last.
  int64_t queries_per_block(int64_t most) const;
  /// The keys that a query sees: [first, last).
  int64_t last(int64_t query) const { return pattern.causal ? keys - length + query + 1 : keys; }
  int64_t first(int64_t query) const;
  /// The keys that any of the queries [begin, end) sees, from the beginning of a panel on: [first, second).
  std::pair<int64_t, int64_t> seen(int64_t b, int64_t begin, int64_t end) const;
  /// The scores of one query; its keys are counted from `from`, and its weights end with key `to`.
  cpu::ScoreRow row(int64_t b, int64_t head, int64_t query, float* scores, int64_t from, int64_t to) const;
  /// Whether all keys of a query are hidden. It sees them all alike then, also those behind it.
  bool blind(int64_t b, int64_t query) const;

  torch::Tensor kept[3], bias;
  HeadRows q, k, v;
  int64_t batch, heads, groups, length, keys, dim, value_dim;
  bool narrow;  ///< bfloat16, else float32
  AttentionPattern pattern;
};

}  // namespace tessera
