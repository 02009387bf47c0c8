#include "kernels/attention.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "kernels/cpu/finish.h"
#include "kernels/cpu/pack_rows.h"
#include "kernels/cpu/panel_product.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/softmax.h"
#include "kernels/flops.h"
#include "kernels/panels.h"

namespace tessera {

using torch::Tensor;

namespace {

constexpr int64_t kFewQueries = 4;       // fewer than it would pay to pack the keys for
constexpr int64_t kScores = 128 * 1024;  // of a block of queries, which stay in a core's second cache
constexpr int64_t kMostQueries = 128;    // of a block
constexpr int64_t kLanes = 16;           // of the widest vectors; rows of scores are filled up to them

int64_t to_multiple(int64_t count, int64_t of) { return (count + of - 1) / of * of; }

/// Numbers in memory, a row of which is contiguous.
struct Rows {
  explicit Rows(const Tensor& x)
      : data(static_cast<const char*>(x.data_ptr())), size(x.element_size()), strides(x.strides().vec()) {}
  const void* at(int64_t batch, int64_t head, int64_t row) const {
    return data + size * (batch * strides[0] + head * strides[1] + row * strides[2]);
  }
  const char* data;
  int64_t size;
  std::vector<int64_t> strides;
};

struct Call {
  Rows q, k, v;
  int64_t batch, heads, groups, length, keys, dim, value_dim;
  bool narrow;
  AttentionPattern pattern;
  const float* bias;
  std::vector<int64_t> bias_strides;
  char* out;  // B x L x heads x dv

  int64_t size() const { return narrow ? 2 : 4; }
  int64_t queries_per_block() const {
    const int64_t most = std::clamp<int64_t>(kScores / keys, 16, kMostQueries);
    const int64_t blocks = (length + most - 1) / most;
    return (length + blocks - 1) / blocks;
  }
  /// The keys that a query sees: [first, last).
  int64_t last(int64_t query) const { return pattern.causal ? keys - length + query + 1 : keys; }
  int64_t first(int64_t query) const {
    return pattern.causal && pattern.window > 0 ? std::max<int64_t>(0, last(query) - pattern.window) : 0;
  }
  /// Whether all keys of a query are hidden. It sees them all alike then, also those behind it.
  bool blind(int64_t b, int64_t query) const {
    if (!pattern.mask.defined() || !pattern.causal) return false;
    const bool* real = pattern.mask.data_ptr<bool>() + b * keys;
    return std::none_of(real + first(query), real + last(query), [](bool key) { return key; });
  }
  /// The scores of one query; its keys are counted from `from`, and its weights end with key `to`.
  cpu::ScoreRow row(int64_t b, int64_t head, int64_t query, float* scores, int64_t from, int64_t to) const {
    cpu::ScoreRow row{.scores = scores,
                      .begin = first(query) - from,
                      .end = last(query) - from,
                      .filled = to - from,
                      .scale = static_cast<float>(pattern.scale),
                      .cap = static_cast<float>(pattern.cap)};
    if (blind(b, query)) return {.scores = scores, .begin = 0, .end = keys, .filled = to, .scale = 0};
    if (bias) {
      row.bias = bias + b * bias_strides[0] + head * bias_strides[1] + query * bias_strides[2] + from * bias_strides[3];
      row.bias_stride = bias_strides[3];
    }
    if (pattern.mask.defined()) row.mask = pattern.mask.data_ptr<bool>() + b * keys + from;
    return row;
  }
  void* result(int64_t b, int64_t query, int64_t head) const {
    return out + size() * ((b * length + query) * heads + head) * value_dim;
  }
};

/// A row of sums, each times `factor`.
void put(const Call& call, const float* sums, int64_t stride, int64_t rows, int64_t columns, const float* factors,
         void* out) {
  cpu::finish({sums, false, stride}, rows, columns,
              {.row_scale = factors, .out = out, .out_stride = call.heads * call.value_dim, .narrow = call.narrow});
}

/// Few queries, as in decoding: keys and values are read once, row by row.
void few_queries(const Call& call) {
  const int64_t shared = call.heads / call.groups;
  cpu::in_parallel(call.batch * call.groups, [&](int64_t item) {
    thread_local cpu::Scratch memory;
    const int64_t b = item / call.groups, group = item % call.groups, rows = shared * call.length;
    float* scores = memory.of<float>(static_cast<size_t>(rows * (call.keys + call.value_dim)));
    float* sums = scores + rows * call.keys;
    std::fill_n(sums, rows * call.value_dim, 0.0F);
    for (int64_t key = call.pattern.mask.defined() ? 0 : call.first(0); key < call.keys; ++key)
      for (int64_t i = 0; i < rows; ++i)
        scores[i * call.keys + key] = cpu::dot(call.q.at(b, group * shared + i / call.length, i % call.length),
                                               call.k.at(b, group, key), call.dim, call.narrow);
    for (int64_t i = 0; i < rows; ++i) {
      const int64_t head = group * shared + i / call.length, query = i % call.length;
      const cpu::ScoreRow row = call.row(b, head, query, scores + i * call.keys, 0, call.keys);
      const float factor = 1 / cpu::weigh(row, false, row.scores);
      for (int64_t key = row.begin; key < row.end; ++key)
        cpu::add_scaled(row.scores[key], call.v.at(b, group, key), call.value_dim, call.narrow,
                        sums + i * call.value_dim);
      put(call, sums + i * call.value_dim, call.value_dim, 1, call.value_dim, &factor, call.result(b, query, head));
    }
  });
}

/// The keys and values of one group, packed for products.
struct Packed {
  const char *keys, *values;
};

/// A block of queries of one head.
void query_block(const Call& call, const Packed& packed, int64_t b, int64_t head, int64_t begin, int64_t end) {
  thread_local cpu::Scratch scores_memory, weights_memory, sums_memory, factors_memory;
  const auto kind = call.narrow ? cpu::ProductKind::kBfloat16 : cpu::ProductKind::kFloat32;
  const int64_t rows = end - begin, size = call.size(), block = call.narrow ? 32 : 16;
  const auto room = [&](cpu::Scratch& memory, int64_t row) { return memory.of<char>(static_cast<size_t>(rows * row)); };
  // Keys from a panel's beginning on, with which the products can begin, to the end of a group.
  int64_t from = call.first(begin) / kPanel * kPanel, to = call.last(end - 1);
  for (int64_t query = begin; query < end; ++query)
    if (call.blind(b, query)) from = 0, to = call.keys;
  const int64_t keys = to_multiple(to - from, kLanes), key_width = to_multiple(call.dim, block);
  auto* scores = reinterpret_cast<float*>(room(scores_memory, keys * 4));
  for (int64_t key = 0; key < keys; key += kPanel)
    cpu::multiply_panel({kind, rows, std::min(kPanel, keys - key), call.dim, call.q.strides[2], keys},
                        call.q.at(b, head, begin), packed.keys + (from + key) * key_width * size, scores + key);
  char* weights = room(weights_memory, keys * size);
  float* factors = factors_memory.of<float>(static_cast<size_t>(rows));
  for (int64_t i = 0; i < rows; ++i)
    factors[i] = 1 / cpu::weigh(call.row(b, head, begin + i, scores + i * keys, from, from + keys), call.narrow,
                                weights + i * keys * size);
  const int64_t values = to_multiple(call.keys, block);
  auto* sums = reinterpret_cast<float*>(room(sums_memory, kPanel * 4));
  for (int64_t column = 0; column < call.value_dim; column += kPanel) {
    const int64_t columns = std::min(kPanel, call.value_dim - column);
    cpu::multiply_panel({kind, rows, columns, keys, keys, kPanel}, weights,
                        packed.values + (column * values + from * kPanel) * size, sums);
    char* out = static_cast<char*>(call.result(b, begin, head)) + column * size;
    put(call, sums, kPanel, rows, columns, factors, out);
  }
}

void many_queries(const Call& call) {
  const int64_t block = call.narrow ? 32 : 16, shared = call.heads / call.groups;
  const int64_t keys_size = to_multiple(call.keys, kPanel) * to_multiple(call.dim, block) * call.size();
  const int64_t values_size = to_multiple(call.value_dim, kPanel) * to_multiple(call.keys, block) * call.size();
  const int64_t per_block = call.queries_per_block(), blocks = (call.length + per_block - 1) / per_block;
  const auto attend = [&](const char* packed, int64_t b, int64_t head, int64_t i) {
    query_block(call, {packed, packed + keys_size}, b, head, i * per_block, std::min(call.length, (i + 1) * per_block));
  };
  const auto pack = [&](char* at, int64_t b, int64_t group) {
    cpu::pack_keys({call.k.at(b, group, 0), call.k.strides[2], call.keys, call.dim, call.narrow}, at);
    cpu::pack_values({call.v.at(b, group, 0), call.v.strides[2], call.keys, call.value_dim, call.narrow},
                     at + keys_size);
  };
  const int64_t items = call.batch * call.groups, size = keys_size + values_size;
  if (items >= 2 * at::get_num_threads()) {  // a group's keys stay in the cache of the thread that packed them
    cpu::in_parallel(items, [&](int64_t item) {
      thread_local cpu::Scratch memory;
      char* packed = memory.of<char>(static_cast<size_t>(size));
      pack(packed, item / call.groups, item % call.groups);
      for (int64_t i = 0; i < shared * blocks; ++i)
        attend(packed, item / call.groups, item % call.groups * shared + i / blocks, i % blocks);
    });
    return;
  }
  thread_local cpu::Scratch memory;
  char* packed = memory.of<char>(static_cast<size_t>(items * size));
  cpu::in_parallel(items, [&](int64_t item) { pack(packed + item * size, item / call.groups, item % call.groups); });
  cpu::in_parallel(items * shared * blocks, [&](int64_t i) {
    const int64_t item = i / (shared * blocks), part = i % (shared * blocks);
    attend(packed + item * size, item / call.groups, item % call.groups * shared + part / blocks, part % blocks);
  });
}

Tensor with_contiguous_rows(const Tensor& x) { return x.stride(3) == 1 && x.stride(2) % 2 == 0 ? x : x.contiguous(); }

}  // namespace

bool can_fuse_attention(const Tensor& q, const Tensor& k, const Tensor& v) {
  const auto type = q.scalar_type();
  if (type != torch::kFloat32 && type != torch::kBFloat16) return false;
  if (type == torch::kBFloat16 && q.size(3) % 2 != 0) return false;
  for (const Tensor* tensor : {&q, &k, &v}) {
    if (!tensor->is_cpu() || tensor->scalar_type() != type) return false;
  }
  return true;
}

Tensor fused_attention(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionPattern& pattern) {
  const torch::NoGradGuard no_gradient;
  const int64_t batch = q.size(0), heads = q.size(1), length = q.size(2), keys = k.size(2);
  const Tensor result = torch::empty({batch, length, heads, v.size(3)}, q.options());
  if (result.numel() == 0) return result.permute({0, 2, 1, 3});
  if (keys == 0) return result.zero_().permute({0, 2, 1, 3});
  const Tensor rows[] = {with_contiguous_rows(q), with_contiguous_rows(k), with_contiguous_rows(v)};
  Call call{Rows(rows[0]),
            Rows(rows[1]),
            Rows(rows[2]),
            batch,
            heads,
            k.size(1),
            length,
            keys,
            q.size(3),
            v.size(3),
            q.scalar_type() == torch::kBFloat16,
            pattern,
            nullptr,
            {},
            static_cast<char*>(result.data_ptr())};
  if (pattern.mask.defined()) call.pattern.mask = pattern.mask.to(torch::kBool).contiguous();
  Tensor bias;
  if (pattern.bias.defined()) {
    bias = pattern.bias.to(torch::kFloat32).expand({batch, heads, length, keys});
    call.bias = bias.data_ptr<float>();
    call.bias_strides = bias.strides().vec();
  }
  kernel_flops() += 2 * batch * heads * length * keys * (call.dim + call.value_dim);
  length <= kFewQueries ? few_queries(call) : many_queries(call);
  return result.permute({0, 2, 1, 3});
}

}  // namespace tessera
