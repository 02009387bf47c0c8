// What a PackedLinear does with its inputs; how it packs its weights is in packed_linear.cpp.
#include <ATen/Functions.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>

#include "core/error.h"
#include "core/parallel.h"
#include "kernels/cpu/avx512_kept.h"
#include "kernels/cpu/layer_product.h"
#include "kernels/cpu/rows.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/tile_product.h"
#include "kernels/cpu/unpack.h"
#include "kernels/flops.h"
#include "kernels/packed_linear.h"
#include "kernels/panels.h"

namespace tessera {

using torch::Tensor;

namespace {

/// What the inputs of a product in this precision are.
cpu::ProductKind product_kind(Precision precision) {
  if (precision == Precision::kFloat32) return cpu::ProductKind::kFloat32;
  return precision == Precision::kInt8 ? cpu::ProductKind::kInt8 : cpu::ProductKind::kBfloat16;
}

/// The rows up to which it is less work to read weights as they are kept, eight rows at a time, than to unpack them.
int64_t most_as_kept(cpu::ProductKind kind, const SparsePattern& pattern) {
  const bool sparse = pattern != SparsePattern();
  if (!sparse || cpu::has_tile_unit(kind)) return 32;
  // With a quarter of the weights or less, what is left out saves more than choosing the inputs takes.
  return 2 * pattern.kept < pattern.of ? std::numeric_limits<int64_t>::max() : 128;
}

/// The rows that go over a panel as it is kept before the next ones do: their inputs stay in a core's second cache.
constexpr int64_t kRowsTogether = 128;

int64_t bytes_of(cpu::ProductKind kind) { return 4 / cpu::inputs_together(kind); }

}  // namespace

/// The inputs of one call in the form that the products read.
struct PackedLinear::Inputs {
  void* x = nullptr;
  int64_t rows = 0, stride = 0;  // stride: numbers from row to row
  float* row_scales = nullptr;   // of int8; of int4 for few rows, for every group
  int32_t* row_sums = nullptr;   // of int4 for few rows
  bool as_kept = false;          // the products read what is kept
};

PackedLinear::Inputs PackedLinear::inputs_of(const Tensor& x, bool as_kept) const {
  thread_local cpu::Scratch numbers, scales, sums;
  const auto kind = product_kind(precision_);
  const int64_t rows = x.size(0), together = cpu::inputs_together(kind), groups = group_ > 0 ? width_ / group_ : 1;
  const bool int4 = as_kept && group_ > 0, bytes = kind == cpu::ProductKind::kInt8 || int4;
  const auto wanted = kind == cpu::ProductKind::kFloat32 ? torch::kFloat32 : torch::kBFloat16;
  Inputs inputs{
      .rows = rows, .stride = as_kept ? width_ : (inputs_ + together - 1) / together * together, .as_kept = as_kept};
  if (!bytes && x.scalar_type() == wanted && inputs.stride == inputs_) {
    inputs.x = x.data_ptr();
    return inputs;
  }
  const int64_t size = bytes ? 1 : bytes_of(kind);
  inputs.x = numbers.of<char>(static_cast<size_t>(rows * inputs.stride * size));
  if (bytes) inputs.row_scales = scales.of<float>(static_cast<size_t>(rows * groups));
  if (int4) inputs.row_sums = sums.of<int32_t>(static_cast<size_t>(rows * groups));
  const bool narrow = x.scalar_type() == torch::kBFloat16;
  in_parallel_by_rows(rows, [&](int64_t row) {
    const char* from = static_cast<const char*>(x.data_ptr()) + row * inputs_ * (narrow ? 2 : 4);
    const cpu::Row all{from, narrow, inputs_};
    if (int4) return put_groups(all, row, inputs);
    char* to = static_cast<char*>(inputs.x) + row * inputs.stride * size;
    std::fill(to + inputs_ * size, to + inputs.stride * size, 0);
    if (bytes)
      inputs.row_scales[row] = cpu::to_int8(all, cpu::kZeroByte, reinterpret_cast<uint8_t*>(to));
    else if (wanted == torch::kFloat32)
      cpu::to_float32(all, reinterpret_cast<float*>(to));
    else
      cpu::to_bfloat16(all, to);
  });
  return inputs;
}

/// A row as int8, with a scale and a sum for every group. Of rows that are multiplied together, eight inputs each lie
/// side by side.
void PackedLinear::put_groups(const cpu::Row& row, int64_t at, const Inputs& inputs) const {
  const int64_t first = at / cpu::kFewRows * cpu::kFewRows, rows = std::min(cpu::kFewRows, inputs.rows - first);
  const auto* from = static_cast<const char*>(row.numbers);
  alignas(64) int8_t numbers[128];
  for (int64_t begin = 0; begin < inputs_; begin += group_) {
    const int64_t count = std::min(group_, inputs_ - begin);
    const int64_t place = first * (width_ / group_) + begin / group_ * rows + at - first;
    std::fill_n(numbers, group_, int8_t{0});
    inputs.row_scales[place] =
        cpu::to_int8({from + begin * (row.narrow ? 2 : 4), row.narrow, count}, 0, reinterpret_cast<uint8_t*>(numbers));
    inputs.row_sums[place] = std::accumulate(numbers, numbers + group_, 0);
    auto* to = static_cast<int8_t*>(inputs.x) + first * width_ + begin * rows + 8 * (at - first);
    for (int64_t i = 0; i < group_; i += 8) std::memcpy(to + i * rows, numbers + i, 8);
  }
}

/// The inputs of a panel that has been unpacked.
int64_t PackedLinear::unpacked_inputs() const {
  return padded_inputs(inputs_, is_sparse() ? panel_type() : torch::kBFloat16);
}

void PackedLinear::unpack(int64_t panel, int64_t inputs, void* out) const {
  const void* at = static_cast<const char*>(panels_.data_ptr()) + panel * panels_.stride(0) * panels_.element_size();
  if (is_sparse())
    return cpu::unpack_sparse(product_kind(precision_), pattern_, at,
                              places_.data_ptr<uint8_t>() + panel * places_.stride(0), inputs, out);
  if (group_ == 0) return cpu::unpack_int8(static_cast<const int8_t*>(at), inputs, out);
  const auto* scales = reinterpret_cast<const uint16_t*>(group_scales_.data_ptr());
  cpu::unpack_int4(static_cast<const uint8_t*>(at), scales + panel * group_scales_.stride(0), inputs, group_, out);
}

const void* PackedLinear::panels_from(int64_t panel, int64_t count) const {
  if (!unpacks())
    return static_cast<const char*>(panels_.data_ptr()) + panel * panels_.stride(0) * panels_.element_size();
  thread_local cpu::Scratch unpacked;
  const int64_t inputs = unpacked_inputs(), size = inputs * kPanel * bytes_of(product_kind(precision_));
  char* out = unpacked.of<char>(static_cast<size_t>(count * size));
  for (int64_t i = 0; i < count; ++i) unpack(panel + i, inputs, out + i * size);
  return out;
}

/// One panel, as it is kept, times at most kFewRows rows from `row` on.
void PackedLinear::multiply_kept(const Inputs& inputs, int64_t row, int64_t panel, float* sums, int64_t stride) const {
  const void* kept = static_cast<const char*>(panels_.data_ptr()) + panel * panels_.stride(0) * panels_.element_size();
  const int64_t rows = std::min(cpu::kFewRows, inputs.rows - row);
  if (is_sparse()) {
    const auto kind = product_kind(precision_);
    const char* x = static_cast<const char*>(inputs.x) + row * inputs.stride * bytes_of(kind);
    return cpu::multiply_sparse({kind, pattern_, rows, width_, inputs.stride, stride}, x, kept,
                                places_.data_ptr<uint8_t>() + panel * places_.stride(0), sums);
  }
  const auto* scales = reinterpret_cast<const uint16_t*>(group_scales_.data_ptr()) + panel * group_scales_.stride(0);
  const int64_t before = row * (width_ / group_);
  cpu::multiply_int4({static_cast<const int8_t*>(inputs.x) + row * width_, rows, width_, group_, scales,
                      inputs.row_scales + before, inputs.row_sums + before},
                     static_cast<const uint8_t*>(kept), sums, stride);
}

/// Rows with weights as they are kept: each panel is read by a thread once for many of them, and its sums are finished
/// there.
void PackedLinear::run_as_kept(const cpu::LayerProduct& layer, const Inputs& inputs) const {
  const int64_t together = gated_ ? 2 : 1, stride = together * kPanel;
  const int64_t panels = panels_.size(0) / together, blocks = (layer.rows + kRowsTogether - 1) / kRowsTogether;
  in_parallel(panels * blocks, [&](int64_t i) {
    alignas(64) float sums[cpu::kFewRows * 2 * kPanel];
    const int64_t item = i % panels, first = i / panels * kRowsTogether;
    const int64_t column = item * kPanel, columns = std::min(kPanel, outputs_ - column);
    for (int64_t row = first; row < std::min(first + kRowsTogether, layer.rows); row += cpu::kFewRows) {
      for (int64_t half = 0; half < together; ++half)
        multiply_kept(inputs, row, item * together + half, sums + half * kPanel, stride);
      cpu::finish({sums, layer.kind == cpu::ProductKind::kInt8, stride}, std::min(cpu::kFewRows, layer.rows - row),
                  columns, layer.finish_at(row, column, item * stride));
    }
  });
}

void PackedLinear::run(const Tensor& x, const LinearFinish& finish, Tensor& result) const {
  const auto kind = product_kind(precision_);
  const bool may_read_kept =
      group_ > 0 ? cpu::has_products_with_kept(cpu::ProductKind::kInt8) : is_sparse() && cpu::has_sparse_products(kind);
  const Inputs inputs = inputs_of(x, may_read_kept && x.size(0) <= most_as_kept(kind, pattern_));
  const auto numbers = [](const Tensor& of) { return of.defined() ? of.data_ptr<float>() : nullptr; };
  const int64_t together = cpu::inputs_together(kind);
  const cpu::LayerProduct layer{.kind = kind,
                                .x = inputs.x,
                                .rows = x.size(0),
                                .inputs = (inputs_ + together - 1) / together * together,
                                .x_stride = inputs.stride,
                                .outputs = outputs_,
                                .panels = [this](int64_t first, int64_t count) { return panels_from(first, count); },
                                .panel_bytes = unpacks() ? unpacked_inputs() * kPanel * bytes_of(kind)
                                                         : panels_.stride(0) * panels_.element_size(),
                                .unpacks = unpacks(),
                                .finish = {.row_scale = precision_ == Precision::kInt8 ? inputs.row_scales : nullptr,
                                           .column_scale = numbers(scales_),
                                           .column_offset = numbers(offsets_),
                                           .bias = numbers(bias_),
                                           .activation = finish.activation,
                                           .gated = gated_,
                                           .residual = numbers(finish.residual),
                                           .residual_stride = outputs_,
                                           .out = result.data_ptr(),
                                           .out_stride = outputs_,
                                           .narrow = result.scalar_type() == torch::kBFloat16}};
  inputs.as_kept ? run_as_kept(layer, inputs) : cpu::multiply(layer);
}

Tensor PackedLinear::forward(const Tensor& given, const LinearFinish& finish) const {
  const torch::NoGradGuard no_gradient;
  if (given.size(-1) != inputs_)
    throw Error("has " + std::to_string(given.size(-1)) + " features, and the layer reads " + std::to_string(inputs_),
                "input");
  const bool known = given.scalar_type() == torch::kFloat32 || given.scalar_type() == torch::kBFloat16;
  const Tensor x = (known ? given : given.to(torch::kFloat32)).reshape({-1, inputs_}).contiguous();
  std::vector<int64_t> shape = given.sizes().vec();
  shape.back() = outputs_;
  LinearFinish how = finish;
  if (how.residual.defined()) how.residual = how.residual.to(torch::kFloat32).expand(shape).contiguous();
  Tensor result = torch::empty(shape, x.options().dtype(finish.type));
  if (x.size(0) == 0) return result;
  kernel_flops() += 2 * x.size(0) * inputs_ * outputs_ * (gated_ ? 2 : 1);
  run(x, how, result);
  return result;
}

}  // namespace tessera
