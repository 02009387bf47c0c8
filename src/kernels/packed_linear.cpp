#include "kernels/packed_linear.h"

#include <ATen/Functions.h>

#include "core/error.h"
#include "kernels/cpu/finish.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/rows.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/small_batch.h"
#include "kernels/cpu/tile_product.h"
#include "kernels/cpu/unpack.h"
#include "kernels/flops.h"
#include "kernels/panels.h"
#include "kernels/quantised.h"

namespace tessera {

using torch::Tensor;

namespace {

constexpr int64_t kFew = 8;                                    // rows that are products of vectors
constexpr int64_t kTileRows = 128, kTileColumns = 2 * kPanel;  // of a tile, whose sums stay in the second cache
constexpr int kZero = 128;                                     // what is added to an int8 input to make it a uint8

bool is_int4(Precision precision) { return precision == Precision::kInt4 || precision == Precision::kInt4Wide; }

/// What the inputs of a product in this precision are.
cpu::ProductKind product_kind(Precision precision) {
  if (precision == Precision::kFloat32) return cpu::ProductKind::kFloat32;
  return precision == Precision::kInt8 ? cpu::ProductKind::kInt8 : cpu::ProductKind::kBfloat16;
}

/// The outputs of the two halves in turns of a panel each, so that a tile has what belongs together.
Tensor interleaved(const Tensor& halves) {
  const int64_t half = halves.size(0) / 2, filled = (half + kPanel - 1) / kPanel * kPanel;
  std::vector<int64_t> pad(static_cast<size_t>(2 * halves.dim()), 0);
  pad.back() = filled - half;
  const auto part = [&](int64_t begin) {
    std::vector<int64_t> shape = {filled / kPanel, 1, kPanel};
    if (halves.dim() == 2) shape.push_back(halves.size(1));
    return torch::constant_pad_nd(halves.narrow(0, begin, half), pad).reshape(shape);
  };
  return torch::cat({part(0), part(half)}, 1).flatten(0, 2);
}

/// One number for every output of the panels.
Tensor filled_up(const Tensor& numbers, int64_t outputs) {
  return torch::constant_pad_nd(numbers.to(torch::kFloat32), {0, outputs - numbers.size(0)}).contiguous();
}

}  // namespace

/// One call: inputs in the form that the products read.
struct PackedLinear::Call {
  int64_t rows = 0;
  const void* x = nullptr;  // rows x x_stride numbers
  int64_t x_stride = 0;
  const float* row_scales = nullptr;  // of int8; of int4 for few rows, rows x groups
  cpu::Finish finish;
  bool few = false;

  /// The finish of the result's columns from `column` on, whose sums begin with output `output`.
  cpu::Finish at(int64_t row, int64_t column, int64_t output) const {
    cpu::Finish part = finish;
    for (const float** numbers : {&part.column_scale, &part.column_offset, &part.bias})
      if (*numbers) *numbers += output;
    if (part.row_scale) part.row_scale += row;
    if (part.residual) part.residual += row * part.residual_stride + column;
    part.out = static_cast<char*>(part.out) + (row * part.out_stride + column) * (part.narrow ? 2 : 4);
    return part;
  }
};

PackedLinear::PackedLinear(const Tensor& weight, const Tensor& bias, Precision precision, bool gated)
    : precision_(precision), gated_(gated), inputs_(weight.size(1)), outputs_(weight.size(0)) {
  const torch::NoGradGuard no_gradient;
  if (!can_compute(precision))
    throw Error("cannot be computed on this processor", precision_names()[static_cast<size_t>(precision)],
                "choose float32");
  if (gated && outputs_ % 2 != 0) throw Error("a gated layer has as many gates as values", "outputs");
  if (gated) outputs_ /= 2;
  const Tensor ordered = gated ? interleaved(weight) : weight;
  if (is_int4(precision)) {
    group_ = precision == Precision::kInt4 ? 32 : 128;
    const Quantised quantised = to_int4(ordered, group_);
    panels_ = to_int4_panels(quantised.numbers);
    width_ = quantised.numbers.size(1);
    const int64_t count = panels_.size(0), groups = quantised.scales.size(1);
    group_scales_ = torch::constant_pad_nd(quantised.scales, {0, 0, 0, count * kPanel - quantised.scales.size(0)})
                        .view({count, kPanel, groups})
                        .transpose(1, 2)
                        .to(torch::kHalf)
                        .contiguous();
  } else if (precision == Precision::kInt8 || precision == Precision::kInt8Weights) {
    const Quantised quantised = to_int8(ordered);
    panels_ = to_panels(quantised.numbers);
    scales_ = filled_up(quantised.scales.squeeze(1), panels_.size(0) * kPanel);
    if (precision == Precision::kInt8)
      offsets_ = filled_up(quantised.numbers.sum(1, false, torch::kFloat32) * kZero, panels_.size(0) * kPanel);
    width_ = padded_inputs(inputs_, torch::kInt8);
  } else {
    const auto type = precision == Precision::kBfloat16 ? torch::kBFloat16 : torch::kFloat32;
    panels_ = to_panels(ordered.to(type));
    width_ = padded_inputs(inputs_, type);
  }
  if (bias.defined()) bias_ = filled_up(gated ? interleaved(bias) : bias, panels_.size(0) * kPanel);
}

bool PackedLinear::can_compute(Precision precision) { return cpu::can_multiply(product_kind(precision)); }

int64_t PackedLinear::bytes() const {
  int64_t sum = 0;
  for (const Tensor* part : {&panels_, &group_scales_, &bias_, &scales_, &offsets_})
    if (part->defined()) sum += static_cast<int64_t>(part->nbytes());
  return sum;
}

/// The inputs in the form that the products read, with zeros up to the width of a panel where rows are few.
PackedLinear::Call PackedLinear::prepared(const Tensor& x, const LinearFinish& finish, Tensor& result) const {
  thread_local cpu::Scratch inputs, scales;
  Call call;
  call.rows = x.size(0);
  const bool narrow = x.scalar_type() == torch::kBFloat16;
  const bool bytes = precision_ == Precision::kInt8;
  const bool dots = bytes || is_int4(precision_) ? cpu::can_dot_int8() : cpu::can_dot_bfloat16();
  call.few = call.rows <= kFew && dots && precision_ != Precision::kFloat32 && precision_ != Precision::kInt8Weights;
  const bool groups = call.few && is_int4(precision_);
  const auto wanted = precision_ == Precision::kFloat32 ? torch::kFloat32 : torch::kBFloat16;
  call.x = x.data_ptr();
  call.x_stride = inputs_;
  if (bytes || groups || x.scalar_type() != wanted || (call.few && width_ != inputs_)) {
    const int64_t size = bytes || groups ? 1 : wanted == torch::kFloat32 ? 4 : 2;
    call.x_stride = call.few ? width_ : inputs_;
    char* copy = inputs.of<char>(static_cast<size_t>(call.rows * call.x_stride * size));
    const int64_t scales_of_row = groups ? width_ / group_ : 1;
    float* row_scales = bytes || groups ? scales.of<float>(static_cast<size_t>(call.rows * scales_of_row)) : nullptr;
    cpu::in_parallel(call.rows, [&](int64_t row) {
      const char* from = static_cast<const char*>(x.data_ptr()) + row * inputs_ * (narrow ? 2 : 4);
      char* to = copy + row * call.x_stride * size;
      std::fill(to + inputs_ * size, to + call.x_stride * size, 0);
      const cpu::Row all{from, narrow, inputs_};
      if (bytes) {
        row_scales[row] = cpu::to_int8(all, kZero, reinterpret_cast<uint8_t*>(to));
      } else if (groups) {
        for (int64_t begin = 0; begin < inputs_; begin += group_)
          row_scales[row * scales_of_row + begin / group_] =
              cpu::to_int8({from + begin * (narrow ? 2 : 4), narrow, std::min(group_, inputs_ - begin)}, 0,
                           reinterpret_cast<uint8_t*>(to + begin));
      } else if (wanted == torch::kFloat32) {
        cpu::to_float32(all, reinterpret_cast<float*>(to));
      } else {
        cpu::to_bfloat16(all, to);
      }
    });
    call.x = copy;
    call.row_scales = row_scales;
  }
  const auto numbers = [](const Tensor& of) { return of.defined() ? of.data_ptr<float>() : nullptr; };
  call.finish = {.row_scale = bytes ? call.row_scales : nullptr,
                 .column_scale = numbers(scales_),
                 .column_offset = numbers(offsets_),
                 .bias = numbers(bias_),
                 .activation = finish.activation,
                 .gated = gated_,
                 .residual = numbers(finish.residual),
                 .residual_stride = outputs_,
                 .out = result.data_ptr(),
                 .out_stride = outputs_,
                 .narrow = result.scalar_type() == torch::kBFloat16};
  return call;
}

const void* PackedLinear::panels_from(int64_t panel, int64_t count) const {
  const char* at = static_cast<const char*>(panels_.data_ptr()) + panel * panels_.stride(0) * panels_.element_size();
  if (precision_ != Precision::kInt8Weights && !is_int4(precision_)) return at;
  thread_local cpu::Scratch unpacked;
  const int64_t inputs = padded_inputs(inputs_, torch::kBFloat16), size = inputs * kPanel * 2;
  char* out = unpacked.of<char>(static_cast<size_t>(count * size));
  for (int64_t i = 0; i < count; ++i) {
    if (group_ == 0) {
      cpu::unpack_int8(reinterpret_cast<const int8_t*>(at) + i * width_ * kPanel, inputs, out + i * size);
    } else {
      const auto* scales = reinterpret_cast<const uint16_t*>(group_scales_.data_ptr());
      cpu::unpack_int4(reinterpret_cast<const uint8_t*>(at) + i * width_ * kPanel / 2,
                       scales + (panel + i) * group_scales_.stride(0), inputs, group_, out + i * size);
    }
  }
  return out;
}

void PackedLinear::few_rows(const Call& call) const {
  const int64_t together = gated_ ? 2 : 1, panels = panels_.size(0);
  const bool integers = precision_ == Precision::kInt8;
  cpu::in_parallel(panels / together, [&](int64_t item) {
    alignas(64) float sums[kFew * kTileColumns];
    for (int64_t i = 0; i < together; ++i) {
      const int64_t panel = item * together + i;
      const cpu::FewRows few{call.x, call.rows, call.x_stride, width_, sums + i * kPanel, kTileColumns};
      const void* weights =
          static_cast<const char*>(panels_.data_ptr()) + panel * panels_.stride(0) * panels_.element_size();
      if (integers) {
        cpu::dot_int8(few, static_cast<const int8_t*>(weights));
      } else if (group_ > 0) {
        const auto* scales = reinterpret_cast<const uint16_t*>(group_scales_.data_ptr());
        cpu::dot_int4(few, static_cast<const uint8_t*>(weights),
                      {scales + panel * group_scales_.stride(0), call.row_scales, group_});
      } else {
        cpu::dot_bfloat16(few, weights);
      }
    }
    const int64_t column = item * kPanel;
    cpu::finish({sums, integers, kTileColumns}, call.rows, std::min(kPanel, outputs_ - column),
                call.at(0, column, item * together * kPanel));
  });
}

void PackedLinear::many_rows(const Call& call) const {
  const int64_t panels = panels_.size(0), results = gated_ ? kPanel : kTileColumns;
  const int64_t row_tiles = (call.rows + kTileRows - 1) / kTileRows, column_tiles = (panels + 1) / 2;
  const int64_t rows_each = (call.rows + row_tiles - 1) / row_tiles;
  const bool unpacks = precision_ == Precision::kInt8Weights || is_int4(precision_);
  const auto tile = [&](const void* weights, int64_t column_tile, int64_t row_tile) {
    thread_local cpu::Scratch sums;
    const int64_t columns = std::min(kTileColumns, (panels - 2 * column_tile) * kPanel);
    const int64_t row = row_tile * rows_each, rows = std::min(rows_each, call.rows - row);
    const cpu::ProductKind kind = product_kind(precision_);
    const int64_t size = kind == cpu::ProductKind::kInt8 ? 1 : kind == cpu::ProductKind::kBfloat16 ? 2 : 4;
    float* out = sums.of<float>(static_cast<size_t>(kTileRows * kTileColumns));
    cpu::multiply({kind, rows, columns, inputs_}, static_cast<const char*>(call.x) + row * call.x_stride * size,
                  weights, out);
    const int64_t column = column_tile * results;
    cpu::finish({out, kind == cpu::ProductKind::kInt8, columns}, rows, std::min(results, outputs_ - column),
                call.at(row, column, column_tile * kTileColumns));
  };
  if (!unpacks) {
    cpu::in_parallel(column_tiles * row_tiles,
                     [&](int64_t i) { tile(panels_from(2 * (i / row_tiles), 2), i / row_tiles, i % row_tiles); });
    return;
  }
  cpu::in_parallel(column_tiles, [&](int64_t i) {
    const void* weights = panels_from(2 * i, std::min<int64_t>(2, panels - 2 * i));
    for (int64_t row_tile = 0; row_tile < row_tiles; ++row_tile) tile(weights, i, row_tile);
  });
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
  const Call call = prepared(x, how, result);
  call.few ? few_rows(call) : many_rows(call);
  return result;
}

Tensor PackedLinear::rows(const Tensor& outputs) const {
  const Tensor at = outputs.reshape({-1});
  const Tensor panel = at.div(kPanel, "floor"), lane = at.remainder(kPanel);
  const auto of_panels = [&](const Tensor& part) { return part.index({panel, torch::indexing::Slice(), lane}); };
  if (gated_) throw Error("a gated layer has no rows of its own", "rows");
  if (group_ > 0) {
    const Tensor bytes = of_panels(panels_).to(torch::kInt32);  // rows x inputs / 8 x 4
    const Tensor numbers = torch::stack({bytes.remainder(16), bytes.div(16, "floor")}, 2).flatten(1) - 8;
    return dequantised({numbers, of_panels(group_scales_).to(torch::kFloat32)}).narrow(1, 0, inputs_);
  }
  const Tensor numbers = of_panels(panels_).to(torch::kFloat32).flatten(1).narrow(1, 0, inputs_);
  return scales_.defined() ? numbers * scales_.index_select(0, at).unsqueeze(1) : numbers;
}

}  // namespace tessera
