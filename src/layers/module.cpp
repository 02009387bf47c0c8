#include "layers/module.h"

#include <cmath>

#include "core/error.h"
#include "layers/unfilled.h"

namespace tessera {
namespace {

thread_local bool unfilled = false;

}  // namespace

UnfilledWeights::UnfilledWeights() : outer_(unfilled) { unfilled = true; }
UnfilledWeights::~UnfilledWeights() { unfilled = outer_; }
bool UnfilledWeights::active() { return unfilled; }

Tensor Module::weight(const std::string& name, at::IntArrayRef shape, double deviation) {
  for (const int64_t extent : shape)
    if (extent < 1)
      throw Error("a size of " + std::to_string(extent) + " makes no '" + name + "'", "", "sizes are positive");
  if (unfilled) return register_parameter(name, torch::empty(shape));
  Tensor value = torch::zeros(shape);
  if (deviation > 0) {
    // The inverse distribution function of a cut normal one, so that a value is one draw and never rejected.
    const double cut = std::erf(2 / std::sqrt(2.0));
    value = torch::empty(shape).uniform_(-cut, cut).erfinv_().mul_(deviation * std::sqrt(2.0));
  }
  return register_parameter(name, value);
}

}  // namespace tessera
