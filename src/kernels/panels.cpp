#include "kernels/panels.h"

#include "core/huge_pages.h"

namespace tessera {

using torch::Tensor;

int64_t inputs_together(torch::ScalarType type) { return type == torch::kInt8 ? 4 : type == torch::kBFloat16 ? 2 : 1; }

int64_t padded_inputs(int64_t inputs, torch::ScalarType type) {
  const int64_t block = 16 * inputs_together(type);
  return (inputs + block - 1) / block * block;
}

Tensor to_panels(const Tensor& weight) {
  return to_panels(weight, padded_inputs(weight.size(1), weight.scalar_type()));
}

Tensor to_panels(const Tensor& weight, int64_t inputs) {
  const int64_t outputs = weight.size(0), panels = (outputs + kPanel - 1) / kPanel;
  const int64_t group = inputs_together(weight.scalar_type()), more = inputs - weight.size(1);
  const Tensor all = empty_in_huge_pages({panels, inputs / group, kPanel, group}, weight.scalar_type());
  by_slices(outputs, [&](int64_t first, int64_t count) {
    const int64_t part = (count + kPanel - 1) / kPanel;
    const Tensor rows = torch::constant_pad_nd(weight.narrow(0, first, count), {0, more, 0, part * kPanel - count});
    all.narrow(0, first / kPanel, part).copy_(rows.view({part, kPanel, inputs / group, group}).transpose(1, 2));
  });
  return all;
}

}  // namespace tessera
