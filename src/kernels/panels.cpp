#include "kernels/panels.h"

namespace tessera {

using torch::Tensor;

int64_t inputs_together(torch::ScalarType type) { return type == torch::kInt8 ? 4 : type == torch::kBFloat16 ? 2 : 1; }

int64_t padded_inputs(int64_t inputs, torch::ScalarType type) {
  const int64_t block = 16 * inputs_together(type);
  return (inputs + block - 1) / block * block;
}

Tensor to_panels(const Tensor& weight) {
  const int64_t outputs = weight.size(0), inputs = weight.size(1), group = inputs_together(weight.scalar_type());
  const int64_t filled = padded_inputs(inputs, weight.scalar_type()), panels = (outputs + kPanel - 1) / kPanel;
  const Tensor all = torch::empty({panels, filled / group, kPanel, group}, weight.options());
  by_slices(outputs, [&](int64_t first, int64_t count) {
    const int64_t part = (count + kPanel - 1) / kPanel;
    const Tensor rows =
        torch::constant_pad_nd(weight.narrow(0, first, count), {0, filled - inputs, 0, part * kPanel - count});
    all.narrow(0, first / kPanel, part).copy_(rows.view({part, kPanel, filled / group, group}).transpose(1, 2));
  });
  return all;
}

}  // namespace tessera
