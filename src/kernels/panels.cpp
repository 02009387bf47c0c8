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
  const Tensor whole = torch::constant_pad_nd(weight, {0, filled - inputs, 0, panels * kPanel - outputs});
  return whole.view({panels, kPanel, filled / group, group}).transpose(1, 2).contiguous();
}

}  // namespace tessera
