#include "kernels/quantised.h"

#include "core/file_pages.h"
#include "core/huge_pages.h"
#include "kernels/panels.h"

namespace tessera {

using torch::Tensor;

namespace {

Quantised rows_to_int8(const Tensor& weight) {
  const Tensor wide = weight.to(torch::kFloat32), scales = wide.abs().amax(1, true) / 127;
  const Tensor numbers = (wide / scales.clamp_min(1e-30)).round().clamp(-127, 127).to(torch::kInt8);
  return {numbers, scales};
}

Quantised rows_to_int4(const Tensor& weight, int64_t group) {
  const int64_t outputs = weight.size(0), inputs = weight.size(1), groups = (inputs + group - 1) / group;
  const Tensor filled = torch::constant_pad_nd(weight.to(torch::kFloat32), {0, groups * group - inputs});
  const Tensor grouped = filled.view({outputs, groups, group});
  const Tensor extreme = grouped.gather(2, grouped.abs().argmax(2, true));  // outputs x groups x 1
  const Tensor scales = (extreme / -8).to(torch::kHalf).to(torch::kFloat32);
  const Tensor safe = torch::where(scales.eq(0), torch::ones_like(scales), scales);
  const Tensor numbers = (grouped / safe).round().clamp(-8, 7).to(torch::kInt8);
  return {numbers.view({outputs, groups * group}), scales.squeeze(2)};
}

/// The rows of a weight, some after the other.
template <class Quantise>
Quantised quantised_by_rows(const Tensor& weight, int64_t columns, int64_t scales, const Quantise& quantise) {
  const int64_t outputs = weight.size(0);
  const auto options = weight.options().requires_grad(false);
  const Quantised all{torch::empty({outputs, columns}, options.dtype(torch::kInt8)),
                      torch::empty({outputs, scales}, options.dtype(torch::kFloat32))};
  by_slices(outputs, [&](int64_t first, int64_t count) {
    const Quantised part = quantise(weight.narrow(0, first, count));
    all.numbers.narrow(0, first, count).copy_(part.numbers);
    all.scales.narrow(0, first, count).copy_(part.scales);
    if (weight.is_contiguous()) give_back_read({weight.select(0, first).data_ptr(), weight.nbytes() / outputs * count});
  });
  return all;
}

}  // namespace

Quantised to_int8(const Tensor& weight) { return quantised_by_rows(weight, weight.size(1), 1, rows_to_int8); }

Quantised to_int4(const Tensor& weight, int64_t group) {
  const int64_t groups = (weight.size(1) + group - 1) / group;
  return quantised_by_rows(weight, groups * group, groups,
                           [group](const Tensor& rows) { return rows_to_int4(rows, group); });
}

Tensor dequantised(const Quantised& quantised) {
  const Tensor wide = quantised.numbers.to(torch::kFloat32);
  const int64_t groups = quantised.scales.size(1);
  return (wide.view({wide.size(0), groups, -1}) * quantised.scales.unsqueeze(2)).view(wide.sizes());
}

Tensor to_int4_panels(const Tensor& numbers) {
  const int64_t outputs = numbers.size(0), inputs = numbers.size(1), panels = (outputs + kPanel - 1) / kPanel;
  const Tensor all = empty_in_huge_pages({panels, inputs / 8, kPanel, 4}, torch::kUInt8);
  by_slices(outputs, [&](int64_t first, int64_t count) {
    const int64_t part = (count + kPanel - 1) / kPanel;
    const Tensor filled = torch::constant_pad_nd(numbers.narrow(0, first, count), {0, 0, 0, part * kPanel - count});
    const Tensor above = (filled + 8).to(torch::kUInt8).view({part, kPanel, inputs / 8, 2, 4});
    const Tensor bytes = above.select(3, 0) + above.select(3, 1) * 16;  // panels x 64 x inputs / 8 x 4
    all.narrow(0, first / kPanel, part).copy_(bytes.transpose(1, 2));
  });
  return all;
}

}  // namespace tessera
