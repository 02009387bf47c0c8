#include "layers/recurrence_gradient.h"

#include <torch/csrc/autograd/custom_function.h>

#include "kernels/inference.h"
#include "kernels/recurrence.h"
#include "layers/way_back.h"

namespace tessera {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct ScanWithGradient : torch::autograd::Function<ScanWithGradient> {
  static variable_list forward(AutogradContext* context, const Tensor& x, const Tensor& dt, const Tensor& a,
                               const Tensor& b, const Tensor& c, const Tensor& state) {
    Tensor kept, after = state;
    const Tensor y = fused_selective_scan(x, dt, a, b, c, after, &kept);
    context->save_for_backward({x, dt, a, b, c, kept});
    return {y, after};
  }

  static variable_list backward(AutogradContext* context, variable_list to) {
    refuse_second_gradient("selective scan");
    const auto s = context->get_saved_variables();
    const SelectiveScanGradients g = selective_scan_gradients(s[0], s[1], s[2], s[3], s[4], s[5], to[0], to[1]);
    return {g.x, g.dt, g.a, g.b, g.c, g.state};
  }
};

struct MeansWithGradient : torch::autograd::Function<MeansWithGradient> {
  static Tensor forward(AutogradContext* context, const Tensor& key, const Tensor& value, const Tensor& decay,
                        const Tensor& bonus) {
    Tensor kept;
    const Tensor means = weighted_means(key, value, decay, bonus, &kept);
    context->save_for_backward({key, value, decay, bonus, kept});
    return means;
  }

  static variable_list backward(AutogradContext* context, variable_list to) {
    refuse_second_gradient("weighted means");
    const auto s = context->get_saved_variables();
    const WeightedMeansGradients g = weighted_means_gradients(s[0], s[1], s[2], s[3], s[4], to[0]);
    return {g.key, g.value, g.decay, g.bonus};
  }
};

}  // namespace

SelectiveResult selective_scan_with_gradient(const SelectiveInputs& in, const Tensor& state) {
  if (for_inference({in.x, in.dt, in.a, in.b, in.c, state})) {
    SelectiveResult result{{}, state};
    result.y = fused_selective_scan(in.x, in.dt, in.a, in.b, in.c, result.state);
    return result;
  }
  const auto results = ScanWithGradient::apply(in.x, in.dt, in.a, in.b, in.c, state);
  return {results[0], results[1]};
}

Tensor weighted_means_with_gradient(const Tensor& key, const Tensor& value, const Tensor& decay, const Tensor& bonus) {
  if (for_inference({key, value, decay, bonus})) return weighted_means(key, value, decay, bonus);
  return MeansWithGradient::apply(key, value, decay, bonus);
}

}  // namespace tessera
