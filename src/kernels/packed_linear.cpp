#include "kernels/packed_linear.h"

#include <ATen/Functions.h>

#include <algorithm>

#include "core/error.h"
#include "core/shape_text.h"
#include "kernels/cpu/rows.h"
#include "kernels/panels.h"
#include "kernels/quantiser.h"
#include "kernels/sparse.h"

namespace tessera {

using torch::Tensor;

namespace {

bool is_int4(Precision precision) { return precision == Precision::kInt4 || precision == Precision::kInt4Wide; }

/// Whether what is kept of sparse weights is what the products of this precision read.
bool may_be_sparse(Precision precision) { return !is_int4(precision) && precision != Precision::kInt8Weights; }

/// The outputs of the two halves in turns of a panel each, so that a tile has what belongs together.
Tensor interleaved(const Tensor& halves) {
  const int64_t half = halves.size(0) / 2, full = half / kPanel, rest = half % kPanel;
  std::vector<int64_t> shape = {full + (rest > 0), 2, kPanel}, part = {full, kPanel};
  if (halves.dim() == 2) shape.push_back(halves.size(1)), part.push_back(halves.size(1));
  const Tensor all = torch::zeros(shape, halves.options().requires_grad(false));
  for (int64_t i = 0; i < 2; ++i) {
    const Tensor from = halves.narrow(0, i * half, half), to = all.select(1, i);
    to.narrow(0, 0, full).copy_(from.narrow(0, 0, full * kPanel).reshape(part));
    if (rest > 0) to.select(0, full).narrow(0, 0, rest).copy_(from.narrow(0, full * kPanel, rest));
  }
  return all.flatten(0, 2);
}

/// The sum of each row of bytes, in float32, in which LibTorch writes down what it sums.
Tensor row_sums(const Tensor& numbers) {
  std::vector<Tensor> sums;
  by_slices(numbers.size(0), [&](int64_t first, int64_t count) {
    sums.push_back(numbers.narrow(0, first, count).sum(1, false, torch::kFloat32));
  });
  return torch::cat(sums);
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
  SparsePattern take_pattern() {
    const Tensor numbers = take("pattern", {2}, torch::kInt64);
    const SparsePattern pattern{numbers[0].item<int64_t>(), numbers[1].item<int64_t>()};
    if (std::find(kSparsePatterns.begin(), kSparsePatterns.end(), pattern) == kSparsePatterns.end())
      refuse("keeps " + std::to_string(pattern.kept) + " of every " + std::to_string(pattern.of) +
             " weights, which is none of the patterns");
    return pattern;
  }
  void refuse_more() const {
    if (!parts_.empty()) refuse("has a part that the layer has no place for: '" + parts_.begin()->first + "'");
  }

 private:
  [[noreturn]] static void refuse(const std::string& problem) { throw Error(problem, "", "prepare the model anew"); }
  std::map<std::string, Tensor> parts_;
};

}  // namespace

PackedLinear::PackedLinear(const Tensor& weight, const Tensor& bias, Precision precision, bool gated)
    : precision_(precision), gated_(gated), inputs_(weight.size(1)), outputs_(weight.size(0)) {
  const torch::NoGradGuard no_gradient;
  if (gated && outputs_ % 2 != 0) throw Error("a gated layer has as many gates as values", "outputs");
  if (gated) outputs_ /= 2;
  set_width();
  const Tensor ordered = gated ? interleaved(weight) : weight;
  if (is_int4(precision)) {
    const Quantised made = quantised(ordered, group_);
    panels_ = to_int4_panels(made.numbers);
    const int64_t count = panels_.size(0), groups = made.scales.size(1);
    group_scales_ = torch::constant_pad_nd(made.scales, {0, 0, 0, count * kPanel - made.scales.size(0)})
                        .view({count, kPanel, groups})
                        .transpose(1, 2)
                        .to(torch::kHalf)
                        .contiguous();
  } else if (precision == Precision::kInt8 || precision == Precision::kInt8Weights) {
    const Quantised made = quantised(ordered, 0);
    keep(made.numbers);
    scales_ = filled_up(made.scales.squeeze(1), panels_.size(0) * kPanel);
    if (precision == Precision::kInt8)
      offsets_ = filled_up(row_sums(made.numbers) * cpu::kZeroByte, panels_.size(0) * kPanel);
  } else {
    keep(ordered.to(panel_type()));
  }
  if (bias.defined()) bias_ = filled_up(gated ? interleaved(bias) : bias, panels_.size(0) * kPanel);
}

PackedLinear::PackedLinear(const std::map<std::string, Tensor>& parts, int64_t inputs, int64_t outputs,
                           Precision precision, bool gated)
    : precision_(precision), gated_(gated), inputs_(inputs), outputs_(gated ? outputs / 2 : outputs) {
  Stored stored(parts);
  if (parts.contains("places") && may_be_sparse(precision)) pattern_ = stored.take_pattern();
  set_width();
  const int64_t panels = (outputs_ + kPanel - 1) / kPanel * (gated ? 2 : 1), columns = panels * kPanel;
  const int64_t together = group_ > 0 ? 4 : inputs_together(panel_type());  // two int4 numbers share a byte
  const int64_t kept = width_ / pattern_.of * pattern_.kept, steps = kept / together / (group_ > 0 ? 2 : 1);
  const bool scaled = precision == Precision::kInt8 || precision == Precision::kInt8Weights;
  panels_ = stored.take("panels", {panels, steps, kPanel, together}, panel_type());
  if (is_sparse())
    places_ = stored.take("places", {panels, kept / pattern_.places_of_word(), kPanel, 4}, torch::kUInt8);
  if (group_ > 0) group_scales_ = stored.take("group_scales", {panels, width_ / group_, kPanel}, torch::kHalf);
  if (scaled) scales_ = stored.take("scales", {columns}, torch::kFloat32);
  if (precision == Precision::kInt8) offsets_ = stored.take("offsets", {columns}, torch::kFloat32);
  if (parts.contains("bias")) bias_ = stored.take("bias", {columns}, torch::kFloat32);
  stored.refuse_more();
}

std::map<std::string, Tensor> PackedLinear::parts() const {
  std::map<std::string, Tensor> parts;
  for (const auto& [name, part] :
       {std::pair("panels", &panels_), std::pair("places", &places_), std::pair("group_scales", &group_scales_),
        std::pair("bias", &bias_), std::pair("scales", &scales_), std::pair("offsets", &offsets_)})
    if (part->defined()) parts[name] = *part;
  if (is_sparse()) parts["pattern"] = torch::tensor({pattern_.kept, pattern_.of}, torch::kInt64);
  return parts;
}

/// How many inputs a panel stands for, with the zeros behind them.
void PackedLinear::set_width() {
  if (is_int4(precision_)) group_ = precision_ == Precision::kInt4 ? 32 : 128;
  width_ = group_ > 0 ? (inputs_ + group_ - 1) / group_ * group_ : padded_inputs(inputs_, panel_type());
  if (is_sparse()) width_ = pattern_.kept_of(width_) / pattern_.kept * pattern_.of;
}

/// The pattern of the numbers that saves most memory; what fills them up counts, too.
SparsePattern PackedLinear::pattern_of(const Tensor& numbers) const {
  if (!may_be_sparse(precision_)) return {};
  const int64_t bits = 8 * numbers.element_size(), whole = padded_inputs(inputs_, panel_type());
  for (const SparsePattern& pattern : kSparsePatterns) {
    const bool saves = pattern.kept_of(whole) * (bits + pattern.place_bits()) < whole * bits;
    if (saves && has_pattern(numbers, pattern)) return pattern;
  }
  return {};
}

/// Packs numbers of the panels' type: all, or those that are not zero.
void PackedLinear::keep(const Tensor& numbers) {
  pattern_ = pattern_of(numbers);
  set_width();
  if (!is_sparse()) {
    panels_ = to_panels(numbers);
    return;
  }
  const Sparse sparse = to_sparse(torch::constant_pad_nd(numbers, {0, width_ - inputs_}), pattern_);
  panels_ = to_panels(sparse.kept, sparse.kept.size(1));
  places_ = to_place_panels(sparse, panel_type());
}

torch::ScalarType PackedLinear::panel_type() const {
  if (group_ > 0) return torch::kUInt8;
  if (precision_ == Precision::kInt8 || precision_ == Precision::kInt8Weights) return torch::kInt8;
  return precision_ == Precision::kBfloat16 ? torch::kBFloat16 : torch::kFloat32;
}

int64_t PackedLinear::bytes() const {
  int64_t sum = 0;
  for (const Tensor* part : {&panels_, &places_, &group_scales_, &bias_, &scales_, &offsets_})
    if (part->defined()) sum += static_cast<int64_t>(part->nbytes());
  return sum;
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
  const Tensor kept = of_panels(panels_).to(torch::kFloat32).flatten(1);
  const auto places = [&] { return from_place_bytes(of_panels(places_), pattern_, panel_type()); };
  const Tensor numbers = (is_sparse() ? to_dense({pattern_, kept, places()}) : kept).narrow(1, 0, inputs_);
  return scales_.defined() ? numbers * scales_.index_select(0, at).unsqueeze(1) : numbers;
}

}  // namespace tessera
