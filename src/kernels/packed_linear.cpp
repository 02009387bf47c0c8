#include "kernels/packed_linear.h"

#include <ATen/Functions.h>

#include "core/error.h"
#include "core/shape_text.h"
#include "kernels/cpu/avx512_products.h"
#include "kernels/cpu/layer_product.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/rows.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/unpack.h"
#include "kernels/flops.h"
#include "kernels/panels.h"
#include "kernels/quantised.h"

namespace tessera {

using torch::Tensor;

namespace {

constexpr int64_t kFew = 8;  // rows that read every weight of int4 once, without unpacking it
constexpr int kZero = 128;   // what is added to an int8 input to make it a uint8

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

/// What parts() gave, taken back one by one.
class Stored {
 public:
  explicit Stored(const std::map<std::string, Tensor>& parts) : parts_(parts) {}
  Tensor take(const std::string& name, const std::vector<int64_t>& shape, torch::ScalarType type) {
    const auto found = parts_.find(name);
    if (found == parts_.end()) refuse("has no part '" + name + "'");
    const Tensor part = found->second;
    if (part.sizes() != shape || part.scalar_type() != type)
      refuse("part '" + name + "' is " + shape_text(part.sizes(), part.scalar_type()) + ", the layer needs " +
             shape_text(shape, type));
    parts_.erase(found);
    return part.contiguous();
  }
  void refuse_more() const {
    if (!parts_.empty()) refuse("has a part that the layer has no place for: '" + parts_.begin()->first + "'");
  }

 private:
  [[noreturn]] static void refuse(const std::string& problem) { throw Error(problem, "", "prepare the model anew"); }
  std::map<std::string, Tensor> parts_;
};

}  // namespace

/// The inputs of one call in the form that the products read.
struct PackedLinear::Inputs {
  const void* x = nullptr;
  int64_t stride = 0;                 // numbers from row to row
  const float* row_scales = nullptr;  // of int8; of int4 for few rows, rows x groups
};

PackedLinear::PackedLinear(const Tensor& weight, const Tensor& bias, Precision precision, bool gated)
    : precision_(precision), gated_(gated), inputs_(weight.size(1)), outputs_(weight.size(0)) {
  const torch::NoGradGuard no_gradient;
  if (gated && outputs_ % 2 != 0) throw Error("a gated layer has as many gates as values", "outputs");
  if (gated) outputs_ /= 2;
  set_width();
  const Tensor ordered = gated ? interleaved(weight) : weight;
  if (is_int4(precision)) {
    const Quantised quantised = to_int4(ordered, group_);
    panels_ = to_int4_panels(quantised.numbers);
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
  } else {
    panels_ = to_panels(ordered.to(panel_type()));
  }
  if (bias.defined()) bias_ = filled_up(gated ? interleaved(bias) : bias, panels_.size(0) * kPanel);
}

PackedLinear::PackedLinear(const std::map<std::string, Tensor>& parts, int64_t inputs, int64_t outputs,
                           Precision precision, bool gated)
    : precision_(precision), gated_(gated), inputs_(inputs), outputs_(gated ? outputs / 2 : outputs) {
  set_width();
  const int64_t panels = (outputs_ + kPanel - 1) / kPanel * (gated ? 2 : 1), columns = panels * kPanel;
  const int64_t together = group_ > 0 ? 4 : inputs_together(panel_type());  // two int4 numbers share a byte
  const int64_t steps = width_ / together / (group_ > 0 ? 2 : 1);
  const bool scaled = precision == Precision::kInt8 || precision == Precision::kInt8Weights;
  Stored stored(parts);
  panels_ = stored.take("panels", {panels, steps, kPanel, together}, panel_type());
  if (group_ > 0) group_scales_ = stored.take("group_scales", {panels, width_ / group_, kPanel}, torch::kHalf);
  if (scaled) scales_ = stored.take("scales", {columns}, torch::kFloat32);
  if (precision == Precision::kInt8) offsets_ = stored.take("offsets", {columns}, torch::kFloat32);
  if (parts.contains("bias")) bias_ = stored.take("bias", {columns}, torch::kFloat32);
  stored.refuse_more();
}

std::map<std::string, Tensor> PackedLinear::parts() const {
  std::map<std::string, Tensor> parts;
  for (const auto& [name, part] :
       {std::pair("panels", &panels_), std::pair("group_scales", &group_scales_), std::pair("bias", &bias_),
        std::pair("scales", &scales_), std::pair("offsets", &offsets_)})
    if (part->defined()) parts[name] = *part;
  return parts;
}

/// How many inputs a panel has, with the zeros behind them.
void PackedLinear::set_width() {
  if (is_int4(precision_)) group_ = precision_ == Precision::kInt4 ? 32 : 128;
  width_ = group_ > 0 ? (inputs_ + group_ - 1) / group_ * group_ : padded_inputs(inputs_, panel_type());
}

torch::ScalarType PackedLinear::panel_type() const {
  if (group_ > 0) return torch::kUInt8;
  if (precision_ == Precision::kInt8 || precision_ == Precision::kInt8Weights) return torch::kInt8;
  return precision_ == Precision::kBfloat16 ? torch::kBFloat16 : torch::kFloat32;
}

int64_t PackedLinear::bytes() const {
  int64_t sum = 0;
  for (const Tensor* part : {&panels_, &group_scales_, &bias_, &scales_, &offsets_})
    if (part->defined()) sum += static_cast<int64_t>(part->nbytes());
  return sum;
}

PackedLinear::Inputs PackedLinear::inputs_of(const Tensor& x, bool few_int4) const {
  thread_local cpu::Scratch numbers, scales;
  const int64_t rows = x.size(0), together = cpu::inputs_together(product_kind(precision_));
  const bool narrow = x.scalar_type() == torch::kBFloat16, bytes = precision_ == Precision::kInt8 || few_int4;
  const auto wanted = precision_ == Precision::kFloat32 ? torch::kFloat32 : torch::kBFloat16;
  const int64_t stride = few_int4 ? width_ : (inputs_ + together - 1) / together * together;
  if (!bytes && x.scalar_type() == wanted && stride == inputs_) return {x.data_ptr(), stride};
  const int64_t size = bytes ? 1 : wanted == torch::kFloat32 ? 4 : 2, scales_of_row = few_int4 ? width_ / group_ : 1;
  char* copy = numbers.of<char>(static_cast<size_t>(rows * stride * size));
  float* row_scales = bytes ? scales.of<float>(static_cast<size_t>(rows * scales_of_row)) : nullptr;
  cpu::in_parallel_by_rows(rows, [&](int64_t row) {
    const char* from = static_cast<const char*>(x.data_ptr()) + row * inputs_ * (narrow ? 2 : 4);
    char* to = copy + row * stride * size;
    std::fill(to + inputs_ * size, to + stride * size, 0);
    const cpu::Row all{from, narrow, inputs_};
    if (few_int4) {
      for (int64_t begin = 0; begin < inputs_; begin += group_)
        row_scales[row * scales_of_row + begin / group_] =
            cpu::to_int8({from + begin * (narrow ? 2 : 4), narrow, std::min(group_, inputs_ - begin)}, 0,
                         reinterpret_cast<uint8_t*>(to + begin));
    } else if (bytes) {
      row_scales[row] = cpu::to_int8(all, kZero, reinterpret_cast<uint8_t*>(to));
    } else if (wanted == torch::kFloat32) {
      cpu::to_float32(all, reinterpret_cast<float*>(to));
    } else {
      cpu::to_bfloat16(all, to);
    }
  });
  return {copy, stride, row_scales};
}

const void* PackedLinear::panels_from(int64_t panel, int64_t count) const {
  const char* at = static_cast<const char*>(panels_.data_ptr()) + panel * panels_.stride(0) * panels_.element_size();
  if (!unpacks()) return at;
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

/// Few rows with weights in int4: each panel is read once by a thread, and its sums are finished there.
void PackedLinear::few_rows(const cpu::LayerProduct& layer, const float* row_scales) const {
  const int64_t together = gated_ ? 2 : 1, stride = together * kPanel;
  const auto* scales = reinterpret_cast<const uint16_t*>(group_scales_.data_ptr());
  cpu::in_parallel(panels_.size(0) / together, [&](int64_t item) {
    alignas(64) float sums[kFew * 2 * kPanel];
    for (int64_t i = 0; i < together; ++i) {
      const int64_t panel = item * together + i;
      const auto* weights = static_cast<const uint8_t*>(panels_.data_ptr()) + panel * panels_.stride(0);
      cpu::multiply_int4({static_cast<const int8_t*>(layer.x), layer.rows, layer.x_stride, width_, group_,
                          scales + panel * group_scales_.stride(0), row_scales},
                         weights, sums + i * kPanel, stride);
    }
    const int64_t column = item * kPanel;
    cpu::finish({sums, false, stride}, layer.rows, std::min(kPanel, outputs_ - column),
                layer.finish_at(0, column, item * stride));
  });
}

void PackedLinear::run(const Tensor& x, const LinearFinish& finish, Tensor& result) const {
  const bool few_int4 = group_ > 0 && x.size(0) <= kFew && cpu::has_products_of(cpu::ProductKind::kInt8);
  const Inputs inputs = inputs_of(x, few_int4);
  const auto numbers = [](const Tensor& of) { return of.defined() ? of.data_ptr<float>() : nullptr; };
  const int64_t together = cpu::inputs_together(product_kind(precision_));
  const cpu::LayerProduct layer{.kind = product_kind(precision_),
                                .x = inputs.x,
                                .rows = x.size(0),
                                .inputs = (inputs_ + together - 1) / together * together,
                                .x_stride = inputs.stride,
                                .outputs = outputs_,
                                .panels = [this](int64_t first, int64_t count) { return panels_from(first, count); },
                                .panel_bytes = unpacks() ? padded_inputs(inputs_, torch::kBFloat16) * kPanel * 2
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
  few_int4 ? few_rows(layer, inputs.row_scales) : cpu::multiply(layer);
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
