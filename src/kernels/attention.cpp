#include "kernels/attention.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "core/parallel.h"
#include "kernels/attention_call.h"
#include "kernels/cpu/finish.h"
#include "kernels/cpu/pack_rows.h"
#include "kernels/cpu/panel_product.h"
#include "kernels/cpu/scratch.h"
#include "kernels/flops.h"
#include "kernels/panels.h"

namespace tessera {

using torch::Tensor;

namespace {

constexpr int64_t kFewQueries = 4;     // fewer than it would pay to pack the keys for
constexpr int64_t kMostQueries = 126;  // of a block
constexpr int64_t kLanes = 16;         // of the widest vectors; rows of scores are filled up to them

int64_t to_multiple(int64_t count, int64_t of) { return (count + of - 1) / of * of; }

/// A call with its result: B x heads x L x dv.
struct Call : AttentionCall {
  Call(const Tensor& queries, const Tensor& all_keys, const Tensor& values, const AttentionPattern& given,
       const Tensor& result)
      : AttentionCall(queries, all_keys, values, given), out(result) {}
  void* result(int64_t b, int64_t query, int64_t head) const { return const_cast<void*>(out.at(b, head, query)); }
  HeadRows out;
};

/// A row of sums, each times `factor`.
void put(const Call& call, const float* sums, int64_t stride, int64_t rows, int64_t columns, const float* factors,
         void* out) {
  cpu::finish({sums, false, stride}, rows, columns,
              {.row_scale = factors, .out = out, .out_stride = call.out.strides[2], .narrow = call.narrow});
}

/// Few queries, as in decoding: keys and values are read once, row by row.
void few_queries(const Call& call) {
  const int64_t shared = call.heads / call.groups;
  in_parallel(call.batch * call.groups, [&](int64_t item) {
    thread_local cpu::Scratch memory;
    const int64_t b = item / call.groups, group = item % call.groups, rows = shared * call.length;
    // Sums are read a whole vector at a time.
    float* scores = memory.of<float>(static_cast<size_t>(rows * (call.keys + call.value_dim) + kLanes));
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
  const auto [from, to] = call.seen(b, begin, end);
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
  const int64_t per_block = to_multiple(call.queries_per_block(kMostQueries), cpu::kRegisterRows);
  const int64_t blocks = (call.length + per_block - 1) / per_block;
  const auto attend_block = [&](const char* packed, int64_t b, int64_t head, int64_t i) {
    query_block(call, {packed, packed + keys_size}, b, head, i * per_block, std::min(call.length, (i + 1) * per_block));
  };
  const auto pack = [&](char* at, int64_t b, int64_t group) {
    cpu::pack_keys({call.k.at(b, group, 0), call.k.strides[2], call.keys, call.dim, call.narrow}, at);
    cpu::pack_values({call.v.at(b, group, 0), call.v.strides[2], call.keys, call.value_dim, call.narrow},
                     at + keys_size);
  };
  const int64_t items = call.batch * call.groups, size = keys_size + values_size;
  if (items >= 2 * at::get_num_threads()) {  // a group's keys stay in the cache of the thread that packed them
    in_parallel(items, [&](int64_t item) {
      thread_local cpu::Scratch memory;
      char* packed = memory.of<char>(static_cast<size_t>(size));
      pack(packed, item / call.groups, item % call.groups);
      for (int64_t i = 0; i < shared * blocks; ++i)
        attend_block(packed, item / call.groups, item % call.groups * shared + i / blocks, i % blocks);
    });
    return;
  }
  thread_local cpu::Scratch memory;
  char* packed = memory.of<char>(static_cast<size_t>(items * size));
  in_parallel(items, [&](int64_t item) { pack(packed + item * size, item / call.groups, item % call.groups); });
  in_parallel(items * shared * blocks, [&](int64_t i) {
    const int64_t item = i / (shared * blocks), part = i % (shared * blocks);
    attend_block(packed + item * size, item / call.groups, item % call.groups * shared + part / blocks, part % blocks);
  });
}

void attend(const Call& call) { call.length <= kFewQueries ? few_queries(call) : many_queries(call); }

/// One query a head, as in decoding, with nothing that tells the heads of a group apart: they are the queries of one
/// head then, and multiplied together.
bool is_one_of_many(const Tensor& q, const Tensor& k, const AttentionPattern& pattern) {
  const bool sees_all = !pattern.causal || pattern.window == 0 || pattern.window >= k.size(2);
  return q.size(2) == 1 && q.size(1) > kFewQueries * k.size(1) && !pattern.bias.defined() && sees_all;
}

void attend_together(const Tensor& q, const Tensor& k, const Tensor& v, AttentionPattern pattern,
                     const Tensor& result) {
  pattern.causal = false;  // the last of the tokens sees all
  const auto by_groups = [&](const Tensor& x) {
    return x.squeeze(2).view({x.size(0), k.size(1), x.size(1) / k.size(1), x.size(3)});
  };
  attend(Call(by_groups(q), k, v, pattern, by_groups(result)));
}

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
  const Tensor result = torch::empty({batch, length, heads, v.size(3)}, q.options()).permute({0, 2, 1, 3});
  if (result.numel() == 0) return result;
  if (keys == 0) return result.zero_();
  kernel_flops() += 2 * batch * heads * length * keys * (q.size(3) + v.size(3));
  is_one_of_many(q, k, pattern) ? attend_together(q, k, v, pattern, result) : attend(Call(q, k, v, pattern, result));
  return result;
}

}  // namespace tessera
