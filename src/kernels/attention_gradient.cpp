#include "kernels/attention_gradient.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "core/parallel.h"
#include "kernels/attention_call.h"
#include "kernels/cpu/finish.h"
#include "kernels/cpu/pack_rows.h"
#include "kernels/cpu/panel_product.h"
#include "kernels/cpu/score_gradient.h"
#include "kernels/cpu/scratch.h"
#include "kernels/flops.h"
#include "kernels/panels.h"

namespace tessera {
namespace {

using torch::Tensor;

constexpr int64_t kLanes = 16;  // of the widest vectors; rows of scores are filled up to them

int64_t to_multiple(int64_t count, int64_t of) { return (count + of - 1) / of * of; }

/// batch x heads x tokens x width, with the heads of a token side by side.
Tensor empty_heads(const Tensor& like) {
  return torch::empty({like.size(0), like.size(2), like.size(1), like.size(3)}, like.options()).permute({0, 2, 1, 3});
}

/// The memories of one thread.
struct Room {
  cpu::Scratch keys, values, key_inputs;       // packed, of a group
  cpu::Scratch scores, to_weights, slopes;     // of a block of queries
  cpu::Scratch paired, turned, weights, sums;  // on the way from a block to what it adds
  cpu::Scratch to_group;                       // what a group's keys and values gain
};

/// A block of the queries of a head: [begin, end), which see the keys [from, from + keys), some of them filled up.
struct QueryBlock {
  int64_t batch, head, begin, end, from, keys;
  int64_t rows() const { return end - begin; }
};

class Way {
 public:
  Way(const AttentionCall& call, const Tensor& out, const Tensor& gradient, const AttentionGradients& results)
      : call_(call),
        out_(out),
        gradient_(gradient),
        to_q_(results.q),
        to_k_(results.k),
        to_v_(results.v),
        per_block_(call.queries_per_block(call.narrow ? 2 * kPanel : kPanel)),
        blocks_((call.length + per_block_ - 1) / per_block_) {}

  /// The groups of a batch are independent of each other; where they are fewer than the threads, so are parts of the
  /// queries of each, whose sums are added up afterwards.
  void go() const {
    const int64_t items = call_.batch * call_.groups, units = call_.heads / call_.groups * blocks_;
    const int64_t wanted = 2 * at::get_num_threads();
    const int64_t parts = items >= wanted ? 1 : std::min(units, (wanted + items - 1) / items);
    if (parts == 1)
      return in_parallel(items, [&](int64_t item) {
        auto* sums = room().to_group.of<float>(static_cast<size_t>(sums_of_group()));
        add_queries(item, 0, units, sums);
        write_group(item, sums);
      });
    const Tensor sums = torch::empty({items, parts, sums_of_group()}, torch::kFloat32);
    const auto at = [&](int64_t item, int64_t part) {
      return sums.data_ptr<float>() + (item * parts + part) * sums_of_group();
    };
    in_parallel(items * parts, [&](int64_t i) {
      const int64_t part = i % parts;
      add_queries(i / parts, part * units / parts, (part + 1) * units / parts, at(i / parts, part));
    });
    in_parallel(items, [&](int64_t item) {
      for (int64_t part = 1; part < parts; ++part)
        cpu::add_scaled(1, at(item, part), sums_of_group(), false, at(item, 0));
      write_group(item, at(item, 0));
    });
  }

 private:
  static Room& room() {
    thread_local Room mine;
    return mine;
  }
  cpu::ProductKind kind() const { return call_.narrow ? cpu::ProductKind::kBfloat16 : cpu::ProductKind::kFloat32; }
  int64_t block() const { return call_.narrow ? 32 : 16; }
  int64_t group_size() const { return call_.heads / call_.groups; }
  /// The keys of a group, as columns of sums.
  int64_t columns() const { return to_multiple(call_.keys, kPanel); }
  int64_t sums_of_group() const { return (call_.dim + call_.value_dim) * columns(); }

  template <class T = char>
  static T* take(cpu::Scratch& memory, int64_t count) {
    return memory.of<T>(static_cast<size_t>(count));
  }
  cpu::NumberRows rows_of(const HeadRows& of, int64_t b, int64_t head, int64_t row, int64_t count,
                          int64_t width) const {
    return {of.at(b, head, row), of.strides[2], count, width, call_.narrow};
  }

  void pack(int64_t b, int64_t group) const {
    const int64_t size = call_.size(), keys = call_.keys;
    Room& my = room();
    const auto k = rows_of(call_.k, b, group, 0, keys, call_.dim),
               v = rows_of(call_.v, b, group, 0, keys, call_.value_dim);
    cpu::pack_keys(k, take(my.keys, columns() * to_multiple(call_.dim, block()) * size));
    cpu::pack_keys(v, take(my.values, columns() * to_multiple(call_.value_dim, block()) * size));
    cpu::pack_values(k, take(my.key_inputs, to_multiple(call_.dim, kPanel) * to_multiple(keys, block()) * size));
  }

  /// What a group gains by some of its blocks of queries, counted over its heads.
  /// @param sums  of the keys, dim x columns(), and behind them of the values
  void add_queries(int64_t item, int64_t first, int64_t last, float* sums) const {
    const int64_t b = item / call_.groups, group = item % call_.groups;
    std::fill_n(sums, sums_of_group(), 0.0F);
    pack(b, group);
    for (int64_t unit = first; unit < last; ++unit) {
      const int64_t begin = unit % blocks_ * per_block_, end = std::min(call_.length, begin + per_block_);
      const auto [from, to] = call_.seen(b, begin, end);
      const QueryBlock block{b,    group * group_size() + unit / blocks_, begin, end,
                             from, to_multiple(to - from, kLanes)};
      const auto [weights, to_scores] = score_gradients(block);
      write_queries(block, to_scores);
      add_turned(block, call_.q, call_.dim, to_scores, sums);
      add_turned(block, gradient_, call_.value_dim, weights, sums + call_.dim * columns());
    }
  }

  /// Products of the block's rows with packed keys or values: rows x keys.
  float* products(const QueryBlock& block, const HeadRows& x, int64_t width, const char* packed,
                  cpu::Scratch& memory) const {
    auto* sums = take<float>(memory, block.rows() * block.keys);
    for (int64_t key = 0; key < block.keys; key += kPanel)
      cpu::multiply_panel({kind(), block.rows(), std::min(kPanel, block.keys - key), width, x.strides[2], block.keys},
                          x.at(block.batch, block.head, block.begin),
                          packed + (block.from + key) * to_multiple(width, this->block()) * call_.size(), sums + key);
    return sums;
  }

  struct Scores {
    const char *weights, *to_scores;  // rows x keys in the call's type, rows 4 keys bytes apart
  };

  Scores score_gradients(const QueryBlock& block) const {
    Room& my = room();
    float* scores = products(block, call_.q, call_.dim, take(my.keys, 0), my.scores);
    float* to_weights = products(block, gradient_, call_.value_dim, take(my.values, 0), my.to_weights);
    const auto scale = static_cast<float>(call_.pattern.scale), cap = static_cast<float>(call_.pattern.cap);
    float* slopes = cap > 0 ? take<float>(my.slopes, block.keys) : nullptr;
    for (int64_t i = 0; i < block.rows(); ++i) {
      const int64_t query = block.begin + i;
      float* row = scores + i * block.keys;
      if (slopes) cpu::cap_slopes(row, block.keys, scale, cap, slopes);
      const float sum =
          cpu::weigh(call_.row(block.batch, block.head, query, row, block.from, block.from + block.keys), false, row);
      const float shared = cpu::dot(gradient_.at(block.batch, block.head, query),
                                    out_.at(block.batch, block.head, query), call_.value_dim, call_.narrow);
      cpu::score_gradients({row, to_weights + i * block.keys, slopes, block.keys, 1 / sum, shared, scale},
                           call_.narrow);
    }
    return {reinterpret_cast<const char*>(scores), reinterpret_cast<const char*>(to_weights)};
  }

  /// The numbers from row to row of Scores.
  int64_t stride(const QueryBlock& block) const { return block.keys * 4 / call_.size(); }

  void write(const float* sums, int64_t rows, int64_t columns, const HeadRows& to, int64_t b, int64_t head, int64_t row,
             int64_t column) const {
    char* out = static_cast<char*>(const_cast<void*>(to.at(b, head, row))) + column * call_.size();
    cpu::finish({sums, false, kPanel}, rows, columns,
                {.out = out, .out_stride = to.strides[2], .narrow = call_.narrow});
  }

  void write_queries(const QueryBlock& block, const char* to_scores) const {
    Room& my = room();
    auto* sums = take<float>(my.sums, block.rows() * kPanel);
    const int64_t inputs = to_multiple(call_.keys, this->block());
    for (int64_t column = 0; column < call_.dim; column += kPanel) {
      const int64_t some = std::min(kPanel, call_.dim - column);
      cpu::multiply_panel({kind(), block.rows(), some, block.keys, stride(block), kPanel}, to_scores,
                          take(my.key_inputs, 0) + (column * inputs + block.from * kPanel) * call_.size(), sums);
      write(sums, block.rows(), some, to_q_, block.batch, block.head, block.begin, column);
    }
  }

  /// The features [first, first + 64) of a block's queries as rows of 64 words, which are float32 numbers or two
  /// bfloat16.
  const char* turned(const QueryBlock& block, const HeadRows& x, int64_t first, int64_t features) const {
    Room& my = room();
    char* turned = take(my.turned, kPanel * kPanel * 4);
    const char* from = static_cast<const char*>(x.at(block.batch, block.head, block.begin)) + first * call_.size();
    if (call_.narrow) {  // pairs of queries become words, and those change places
      char* paired = take(my.paired, to_multiple(block.rows(), 32) * kPanel * 2);
      cpu::pack_values({from, x.strides[2], block.rows(), features, true}, paired);
      cpu::pack_keys({paired, kPanel, (block.rows() + 1) / 2, kPanel, false}, turned);
    } else {
      cpu::pack_keys({from, x.strides[2], block.rows(), features, false}, turned);
    }
    return turned;
  }

  /// sums += x^T scores, features x columns().
  void add_turned(const QueryBlock& block, const HeadRows& x, int64_t width, const char* scores, float* sums) const {
    const int64_t filled = to_multiple(block.rows(), this->block()), size = call_.size();
    char* panels = take(room().weights, to_multiple(block.keys, kPanel) * filled * size);
    cpu::pack_values({scores, stride(block), block.rows(), block.keys, call_.narrow}, panels);
    for (int64_t feature = 0; feature < width; feature += kPanel) {
      const int64_t features = std::min(kPanel, width - feature);
      const char* rows = turned(block, x, feature, features);
      for (int64_t key = 0; key < block.keys; key += kPanel)
        cpu::multiply_panel({kind(), features, std::min(kPanel, block.keys - key),
                             to_multiple(block.rows(), cpu::inputs_together(kind())), kPanel * 4 / size, columns(),
                             /*add=*/true},
                            rows, panels + key * filled * size, sums + feature * columns() + block.from + key);
    }
  }

  void write_group(int64_t item, const float* sums) const {
    const int64_t b = item / call_.groups, group = item % call_.groups;
    write_turned(sums, call_.dim, to_k_, b, group);
    write_turned(sums + call_.dim * columns(), call_.value_dim, to_v_, b, group);
  }

  void write_turned(const float* sums, int64_t width, const HeadRows& to, int64_t b, int64_t group) const {
    auto* rows = take<float>(room().scores, to_multiple(call_.keys, kLanes) * kPanel);
    for (int64_t feature = 0; feature < width; feature += kPanel) {
      const int64_t features = std::min(kPanel, width - feature);
      cpu::pack_keys({sums + feature * columns(), columns(), features, call_.keys, false}, rows);
      write(rows, call_.keys, features, to, b, group, 0, feature);
    }
  }

  const AttentionCall& call_;
  HeadRows out_, gradient_, to_q_, to_k_, to_v_;
  int64_t per_block_, blocks_;
};

}  // namespace

AttentionGradients fused_attention_gradients(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& out,
                                             const Tensor& gradient, const AttentionPattern& pattern) {
  const torch::NoGradGuard no_gradient;
  if (q.scalar_type() == torch::kBFloat16 && v.size(3) % 2 != 0) {  // whose values do not lie in pairs
    const auto wide = [](const Tensor& x) { return x.to(torch::kFloat32); };
    const auto made = fused_attention_gradients(wide(q), wide(k), wide(v), wide(out), wide(gradient), pattern);
    return {made.q.to(q.scalar_type()), made.k.to(k.scalar_type()), made.v.to(v.scalar_type())};
  }
  const AttentionGradients results{empty_heads(q), empty_heads(k), empty_heads(v)};
  if (out.numel() == 0 || k.size(2) == 0) {
    for (const Tensor* nothing : {&results.q, &results.k, &results.v}) nothing->zero_();
    return results;
  }
  const AttentionCall call(q, k, v, pattern);
  kernel_flops() += 2 * call.batch * call.heads * call.length * call.keys * (3 * call.dim + 2 * call.value_dim);
  const Tensor made = with_contiguous_rows(out), from = with_contiguous_rows(gradient.to(q.scalar_type()));
  Way(call, made, from, results).go();
  return results;
}

}  // namespace tessera
