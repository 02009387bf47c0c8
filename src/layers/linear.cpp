#include "layers/linear.h"

#include <cmath>
#include <limits>

#include "core/compat.h"
#include "core/error.h"
#include "core/shape_text.h"
#include "kernels/activate.h"
#include "kernels/convolution.h"
#include "kernels/inference.h"
#include "kernels/narrow_linear.h"
#include "layers/activation_gradient.h"
#include "layers/initial.h"
#include "layers/linear_gradient.h"
#include "layers/variation.h"
#include "layers/way_back.h"

namespace tessera {

Tensor packed_away(const Tensor& weight) {
  return torch::full({1}, std::numeric_limits<double>::quiet_NaN(), weight.options().requires_grad(false))
      .expand(weight.sizes());
}

bool is_packed_away(const Tensor& weight) {
  return weight.dim() > 1 && weight.storage().nbytes() == static_cast<size_t>(weight.element_size()) &&
         weight.numel() > 1;
}

namespace {

/// The prepared form has no gradient, no adapter and no taps before its activation.
bool may_use_packed(const torch::nn::Module& module, const Tensor& x) {
  return x.is_cpu() && !(torch::GradMode::is_enabled() && x.requires_grad()) && module.children().empty();
}

[[noreturn]] void refuse_packed(const std::string& layer) {
  throw Error("is prepared for inference alone", layer, "load the model anew for gradients, adapters and taps");
}

/// What keeps a layer from being packed; empty: nothing.
std::string reason_to_stay(const torch::nn::Module& module, const Tensor& weight) {
  if (!module.children().empty()) return "has an adapter";
  if (!weight.is_cpu()) return "is not on the CPU";
  return weight.is_floating_point() && weight.scalar_type() != torch::kFloat64 ? "" : "is not float32";
}

/// Logits are never computed with fewer than eight bits.
Precision of_logits(Precision precision) {
  const bool four = precision == Precision::kInt4 || precision == Precision::kInt4Wide;
  return four ? Precision::kInt8 : precision;
}

std::map<std::string, Tensor> parts_of(const std::shared_ptr<const PackedLinear>& packed) {
  return packed ? packed->parts() : std::map<std::string, Tensor>();
}

[[noreturn]] void refuse_parts(const std::string& problem) { throw Error(problem, "", "prepare the model anew"); }

/// The packed form of a layer of these parameters, which have no numbers. @throws Error where the parts are another's
std::shared_ptr<const PackedLinear> restored(const std::map<std::string, Tensor>& parts, const LayerWeights& layer,
                                             Precision precision, bool gated = false) {
  if (layer.bias.defined() && !parts.contains("bias")) refuse_parts("has no part 'bias'");
  if (!layer.bias.defined() && parts.contains("bias")) refuse_parts("has a bias, and the layer has none");
  const int64_t outputs = layer.weight.size(0);
  return std::make_shared<PackedLinear>(parts, layer.weight.numel() / outputs, outputs, precision, gated);
}

/// The first half of the last axis, activated, times the second.
Tensor gated(const Tensor& x, Activation activation) {
  const auto kind = nonlinearity(activation);
  if (kind && can_activate(x))
    return learns({x}) ? activation_with_gradient(x, *kind, true) : fused_activation(x, *kind, true);
  const auto halves = x.chunk(2, -1);
  return (activation ? activation(halves[0]) : halves[0]) * halves[1];
}

/// Whether a residual is added to the layer's numbers as they are: float32, one for each.
bool can_add(const Tensor& residual, const Tensor& x, const Tensor& weight) {
  if (!residual.defined() || !residual.is_cpu() || residual.scalar_type() != torch::kFloat32) return false;
  return residual.dim() == x.dim() && residual.size(-1) == weight.size(0) &&
         residual.sizes().slice(0, residual.dim() - 1) == x.sizes().slice(0, x.dim() - 1);
}

/// Whether the weight is as prepare() leaves it on another device than the CPU.
bool is_narrow(const Tensor& weight) {
  return !weight.is_cpu() && (weight.scalar_type() == torch::kBFloat16 || weight.scalar_type() == torch::kInt8);
}

/// What keeps a layer on another device than the CPU, whose parameters themselves become narrow, as it is; empty:
/// nothing.
std::string reason_to_stay_wide(const torch::nn::Module& module, const Tensor& weight, Precision precision) {
  if (!module.children().empty()) return "has an adapter";
  if (!weight.is_floating_point() || weight.scalar_type() == torch::kFloat64) return "is not float32";
  return precision == Precision::kFloat32 ? "float32 is what it is in" : "";
}

void narrow_to_bfloat16(Tensor& weight) {
  weight.requires_grad_(false);
  weight.set_data(weight.to(torch::kBFloat16));
}

constexpr const char* kRead = "its weight is read by its owner";

bool is_depthwise(const ConvolutionOptions& o) { return o.groups > 1 && o.groups == o.in && o.groups == o.out; }

/// Why a convolution is no linear layer of each patch; empty: it is one.
std::string reason_to_stay(const ConvolutionOptions& o) {
  if (is_depthwise(o)) return "is depth-wise: its kernel reads the weight as it is";
  const bool apart = o.padding == 0 && o.kernel_height == o.stride_height && o.kernel_width == o.stride_width;
  return apart && o.groups == 1 ? "" : "its kernels overlap, or it has groups";
}

/// Where the window goes as LibTorch has it go.
WindowPath path_of(const ConvolutionOptions& o, const Tensor& x) {
  const auto places = [&](int64_t extent, int64_t kernel, int64_t stride) {
    return (extent + 2 * o.padding - kernel) / stride + 1;
  };
  return {.stride_height = o.stride_height,
          .stride_width = o.stride_width,
          .top = o.padding,
          .left = o.padding,
          .rows = places(x.size(2), o.kernel_height, o.stride_height),
          .columns = places(x.size(3), o.kernel_width, o.stride_width)};
}

}  // namespace

Linear::Linear(int64_t in, int64_t out, bool with_bias, bool gated) : gated_(gated) {
  weight = Module::weight("weight", {out, in}, GlorotLinears::deviation(in, out));
  if (with_bias) bias = Module::weight("bias", {out}, 0);
}

/// y = x W^T + b with the weight that prepare() has left on a device.
Tensor Linear::product_on_device(const Tensor& x, bool narrow) {
  const Tensor y = narrow_linear(x, {weight, scale_, bias}, rounds_inputs_);
  return narrow ? y : y.to(torch::kFloat32);
}

std::string Linear::prepare_on_device(Precision precision) {
  if (is_narrow(weight)) return "";
  if (const std::string reason = reason_to_stay_wide(*this, weight, precision); !reason.empty()) return reason;
  if (precision == Precision::kBfloat16) {
    narrow_to_bfloat16(weight);
    if (bias.defined()) narrow_to_bfloat16(bias);
    return "";
  }
  rounds_inputs_ = precision == Precision::kInt8;
  if (!rounds_inputs_ && precision != Precision::kInt8Weights)
    throw Error("int4 is for the CPU", "--precision", "give bfloat16, int8 or int8-weights");
  const NarrowWeights bytes = rounded_to_int8(weight);
  scale_ = register_buffer("scale", bytes.scale);  // so that it moves with the weight
  weight.requires_grad_(false);
  weight.set_data(bytes.weight);
  return "";
}

Tensor Linear::plain(const Tensor& x, const After& after) {
  if (is_narrow(weight)) {
    if (!children().empty()) refuse_packed("linear layer");
    Tensor y = tap(*this, product_on_device(x, after.narrow));
    if (gated_)
      y = gated(y, after.activation);
    else if (after.activation)
      y = after.activation(y);
    return after.residual.defined() ? after.residual + y : y;
  }
  // Between prepared layers numbers are narrow; one that stayed as it is reads them as its weight is.
  const bool narrow = x.scalar_type() == torch::kBFloat16 && weight.scalar_type() == torch::kFloat32;
  const Tensor wide = narrow && autocast_type() == torch::kFloat32 ? x.to(torch::kFloat32) : x;
  const bool own = children().empty() && can_multiply_with_gradient(wide, weight, bias);
  const bool alone = !gated_ && !after.activation && !Taps::wanted(*this, "");
  if (own && alone && can_add(after.residual, wide, weight))
    return linear_with_gradient(wide, weight, bias, after.residual);
  Tensor y = own ? linear_with_gradient(wide, weight, bias)
                 : vary(*this, wide, torch::linear(wide, weight, bias), {weight, bias});
  y = tap(*this, y);
  if (gated_)
    y = gated(y, after.activation);
  else if (after.activation)
    y = after.activation(y);
  return after.residual.defined() ? after.residual + y : y;
}

Tensor Linear::forward(const Tensor& x, const After& after) {
  if (!packed_) return plain(x, after);
  const auto kind = nonlinearity(after.activation);
  const bool alone = !gated_ && kind == Nonlinearity::kIdentity && !after.residual.defined();
  if (!may_use_packed(*this, x) || (!alone && Taps::wanted(*this, ""))) refuse_packed("linear layer");
  LinearFinish finish{.activation = kind.value_or(Nonlinearity::kIdentity),
                      .type = after.narrow ? narrow_type() : torch::kFloat32};
  if (kind) finish.residual = after.residual;
  Tensor y = packed_->forward(x, finish);
  if (alone) return tap(*this, y);
  if (kind) return y;
  y = after.activation(y);
  return after.residual.defined() ? after.residual + y : y;
}

Tensor last_layer(const torch::nn::Module& part, Linear& layer, const Tensor& x, const Tensor& residual) {
  if (!residual.defined()) return tap(part, layer.forward(x));
  if (Taps::wanted(part, "") || Taps::wanted(layer, "")) return residual + tap(part, layer.forward(x));
  return layer.forward(x, {.residual = residual});
}

torch::ScalarType Linear::narrow_type() const {
  const bool narrow = packed_             ? packed_->precision() != Precision::kFloat32
                      : is_narrow(weight) ? true
                                          : children().empty() && can_multiply_with_gradient(weight, bias);
  return narrow ? torch::kBFloat16 : torch::kFloat32;
}

std::string Linear::prepare(Precision precision) {
  if (packed_) return "";  // a part that stands in two places
  if (weight_is_read) return kRead;
  if (!weight.is_cpu()) return prepare_on_device(own(precision));
  if (const std::string reason = reason_to_stay(*this, weight); !reason.empty()) return reason;
  packed_ = std::make_shared<PackedLinear>(weight, bias, own(precision), gated_);
  weight.set_data(packed_away(weight));
  return "";
}

Precision Linear::own(Precision precision) const { return gives_logits ? of_logits(precision) : precision; }

std::map<std::string, Tensor> Linear::packed() const { return parts_of(packed_); }

void Linear::restore(Precision precision, const std::map<std::string, Tensor>& parts) {
  if (parts.empty()) return;
  if (weight_is_read) refuse_parts(std::string("is packed, and ") + kRead);
  packed_ = restored(parts, {weight, bias}, own(precision), gated_);
  weight.set_data(packed_away(weight));
}

Convolution::Convolution(const ConvolutionOptions& options) : options_(options) {
  const auto& o = options_;
  // He et al. (2015): the deviation that keeps the variance through a rectifier, counted over outputs.
  const double fan_out = static_cast<double>(o.out * o.kernel_height * o.kernel_width / o.groups);
  weight = Module::weight("weight", {o.out, o.in / o.groups, o.kernel_height, o.kernel_width}, std::sqrt(2 / fan_out));
  if (o.bias) bias = Module::weight("bias", {o.out}, 0);
}

/// B x C x H x W -> B x out x H / kernel x W / kernel, in memory B x H x W x out.
Tensor Convolution::of_patches(const Tensor& x) const {
  const auto& o = options_;
  const int64_t rows = x.size(2) / o.kernel_height, columns = x.size(3) / o.kernel_width;
  const Tensor whole = x.narrow(2, 0, rows * o.kernel_height).narrow(3, 0, columns * o.kernel_width);
  const Tensor patches = whole.reshape({x.size(0), o.in, rows, o.kernel_height, columns, o.kernel_width})
                             .permute({0, 2, 4, 1, 3, 5})
                             .reshape({x.size(0), rows, columns, packed_->inputs()});
  return packed_->forward(patches).permute({0, 3, 1, 2});
}

std::string Convolution::prepare(Precision precision) {
  if (packed_) return "";
  if (const std::string reason = reason_to_stay(options_); !reason.empty()) return reason;
  if (const std::string reason = reason_to_stay(*this, weight); !reason.empty()) return reason;
  packed_ = std::make_shared<PackedLinear>(weight.flatten(1), bias, precision);
  weight.set_data(packed_away(weight));
  return "";
}

std::map<std::string, Tensor> Convolution::packed() const { return parts_of(packed_); }

void Convolution::restore(Precision precision, const std::map<std::string, Tensor>& parts) {
  if (parts.empty()) return;
  if (const std::string reason = reason_to_stay(options_); !reason.empty()) refuse_parts("is packed, and " + reason);
  packed_ = restored(parts, {weight, bias}, precision);
  weight.set_data(packed_away(weight));
}

Tensor Convolution::forward(const Tensor& x) {
  const auto& o = options_;
  if (packed_ && !may_use_packed(*this, x)) refuse_packed("convolution");
  if (packed_) return tap(*this, of_patches(x));
  const bool fits = x.dim() == 4 && x.size(1) == o.in && x.size(2) + 2 * o.padding >= o.kernel_height &&
                    x.size(3) + 2 * o.padding >= o.kernel_width;
  if (is_depthwise(o) && fits && children().empty() && for_inference({x, weight, bias}))
    return tap(*this, depthwise_convolution(x, weight, bias, path_of(o, x)));
  const Tensor y = torch::conv2d(x, weight, bias, {o.stride_height, o.stride_width}, o.padding, 1, o.groups);
  return tap(*this, vary(*this, x, y, {weight, bias}, 1));
}

Embedding::Embedding(int64_t count, int64_t dim, double deviation, int64_t padding_id) : padding_id_(padding_id) {
  weight = Module::weight("weight", {count, dim}, deviation);
}

std::string Embedding::prepare(Precision precision) {
  if (packed_ || narrow_.defined()) return "";
  if (!weight.is_cpu()) {  // in bfloat16 at least: bytes are too coarse for what is looked up
    const std::string reason = is_narrow(weight) ? "" : reason_to_stay_wide(*this, weight, precision);
    if (reason.empty()) narrow_to_bfloat16(weight);
    return reason;
  }
  if (const std::string reason = reason_to_stay(*this, weight); !reason.empty()) return reason;
  if (gives_products)
    packed_ = std::make_shared<PackedLinear>(weight, Tensor(), of_logits(precision));
  else if (precision == Precision::kFloat32)
    return "a table of float32 stays one";
  else
    narrow_ = weight.detach().to(torch::kBFloat16);  // never the weight itself, which loses its numbers
  weight.set_data(packed_away(weight));
  return "";
}

std::map<std::string, Tensor> Embedding::packed() const {
  return narrow_.defined() ? std::map<std::string, Tensor>{{"table", narrow_}} : parts_of(packed_);
}

namespace {

/// @throws Error where the parts are something else than a table of this shape in bfloat16
Tensor restored_table(const std::map<std::string, Tensor>& parts, at::IntArrayRef shape) {
  if (parts.size() != 1 || !parts.contains("table")) refuse_parts("is packed for products, and the table gives none");
  const Tensor& table = parts.at("table");
  if (table.sizes() != shape || table.scalar_type() != torch::kBFloat16)
    refuse_parts("part 'table' is " + shape_text(table.sizes(), table.scalar_type()) + ", the layer needs " +
                 shape_text(shape, torch::kBFloat16));
  return table;
}

}  // namespace

void Embedding::restore(Precision precision, const std::map<std::string, Tensor>& parts) {
  if (parts.empty()) return;
  if (gives_products)
    packed_ = restored(parts, {weight, {}}, of_logits(precision));
  else
    narrow_ = restored_table(parts, weight.sizes());
  weight.set_data(packed_away(weight));
}

int64_t Embedding::packed_bytes() const {
  return packed_ ? packed_->bytes() : narrow_.defined() ? static_cast<int64_t>(narrow_.nbytes()) : 0;
}

Tensor Embedding::products(const Tensor& x) {
  if (packed_ && !may_use_packed(*this, x)) refuse_packed("token table");
  if (packed_) return packed_->forward(x);
  if (is_narrow(weight)) return narrow_linear(x, {weight, {}, {}}, false).to(torch::kFloat32);
  const bool own = children().empty() && can_multiply_with_gradient(x, weight, {});
  return own ? linear_with_gradient(x, weight, {}) : torch::linear(x, weight);
}

Tensor Embedding::forward(const Tensor& ids) {
  std::vector<int64_t> shape = ids.sizes().vec();
  shape.push_back(weight.size(1));
  if ((packed_ || narrow_.defined()) && !children().empty()) refuse_packed("token table");
  if (packed_) return tap(*this, packed_->rows(ids).view(shape));
  if (narrow_.defined()) return tap(*this, torch::embedding(narrow_, ids).to(torch::kFloat32));
  if (is_narrow(weight) && children().empty()) return tap(*this, torch::embedding(weight, ids).to(torch::kFloat32));
  return tap(*this, vary(*this, ids, torch::embedding(weight, ids, padding_id_), {weight, {}}));
}

}  // namespace tessera
