#include "layers/attention_gradient.h"

#include <torch/csrc/autograd/custom_function.h>

#include "kernels/attention_gradient.h"
#include "layers/way_back.h"

namespace tessera {
namespace {

/// What is known of a call beside its tensors.
struct Known : torch::CustomClassHolder {
  AttentionPattern pattern;
};

struct FusedAttention : torch::autograd::Function<FusedAttention> {
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& q, const Tensor& k, const Tensor& v,
                        const AttentionPattern& pattern) {
    const Tensor out = fused_attention(q, k, v, pattern);
    const auto known = c10::make_intrusive<Known>();
    known->pattern = pattern;
    context->saved_data["known"] = c10::IValue::make_capsule(known);
    context->save_for_backward({q, k, v, out});
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    refuse_second_gradient("attention");
    const auto saved = context->get_saved_variables();
    const auto known = c10::static_intrusive_pointer_cast<Known>(context->saved_data.at("known").toCapsule());
    const auto to = fused_attention_gradients(saved[0], saved[1], saved[2], saved[3], gradients[0], known->pattern);
    return {to.q, to.k, to.v, {}};
  }
};

}  // namespace

Tensor attention_with_gradient(const Tensor& q, const Tensor& k, const Tensor& v, const AttentionPattern& pattern) {
  return FusedAttention::apply(q, k, v, pattern);
}

}  // namespace tessera
