#include "kernels/quantiser.h"

#include <utility>

#include "core/error.h"
#include "core/shape_text.h"

namespace tessera {
namespace {

thread_local Quantiser current;

void check(const torch::Tensor& made, torch::ScalarType type, std::vector<int64_t> shape, const std::string& what) {
  if (made.scalar_type() != type || made.sizes() != shape)
    throw Error(
        "gave " + what + " as " + shape_text(made.sizes(), made.scalar_type()) + ", and not " + shape_text(shape, type),
        "quantiser");
}

}  // namespace

QuantisedBy::QuantisedBy(Quantiser quantiser) : before_(std::exchange(current, std::move(quantiser))) {}
QuantisedBy::~QuantisedBy() { current = std::move(before_); }

Quantised quantised(const torch::Tensor& weight, int64_t group) {
  if (!current) return group == 0 ? to_int8(weight) : to_int4(weight, group);
  const int64_t outputs = weight.size(0), inputs = weight.size(1);
  const int64_t groups = group == 0 ? 1 : (inputs + group - 1) / group, columns = group == 0 ? inputs : groups * group;
  Quantised made = current(weight, group);
  check(made.numbers, torch::kInt8, {outputs, columns}, "numbers");
  check(made.scales, torch::kFloat32, {outputs, groups}, "scales");
  const int lowest = group == 0 ? -127 : -8, highest = group == 0 ? 127 : 7;
  if (made.numbers.numel() > 0 && (made.numbers.lt(lowest) | made.numbers.gt(highest)).any().item<bool>())
    throw Error("gave numbers outside of " + std::to_string(lowest) + " to " + std::to_string(highest), "quantiser");
  return {made.numbers.contiguous(), made.scales.contiguous()};
}

}  // namespace tessera
