#include "layers/norm_gradient.h"

#include "core/error.h"
#include "kernels/activate.h"
#include "kernels/norm_gradient.h"
#include "layers/way_back.h"

namespace tessera {
namespace {

using torch::autograd::SavedVariable;
using torch::autograd::variable_list;

class NormStep : public Remakes {
 public:
  NormStep(const Tensor& x, const Tensor& weight, const Tensor& bias, const NormWithTrace& made)
      : type_(x.scalar_type()),
        weight_(weight, false),
        bias_(bias, false),
        normalised_(made.normalised),
        factor_(made.factor) {}

  Tensor make_again() override {
    if (!normalised_.defined())
      throw Error("what it kept for the gradient is gone", "norm", "one backward pass, or retain_graph");
    return scale_and_shift(normalised_, weight_.unpack(), bias_.unpack());
  }

  variable_list apply(variable_list&& gradients) override {
    refuse_second_gradient("norm");
    if (!gradients[0].defined()) return variable_list(3);
    if (!normalised_.defined())
      throw Error("what it kept for the gradient is gone", "norm", "one backward pass, or retain_graph");
    const bool centred = bias_.unpack().defined();
    auto to = norm_gradients(gradients[0].to(normalised_.scalar_type()), normalised_, factor_, weight_.unpack(),
                             centred, type_);
    return {to.x, to.weight, to.bias};
  }

  void release_variables() override {
    weight_.reset_data();
    bias_.reset_data();
    normalised_.reset();
    factor_.reset();
  }

  std::string name() const override { return "NormStep"; }

 private:
  torch::ScalarType type_;
  SavedVariable weight_, bias_;
  Tensor normalised_, factor_;
};

}  // namespace

bool can_norm_with_gradient(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  const auto fits = [](const Tensor& y) { return y.is_cpu() && y.scalar_type() == torch::kFloat32; };
  return can_activate(x) && x.dim() > 0 && x.size(-1) > 0 && fits(weight) && weight.is_contiguous() &&
         (!bias.defined() || (fits(bias) && bias.is_contiguous()));
}

Tensor norm_with_gradient(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps,
                          torch::ScalarType type) {
  const NormWithTrace made = norm_with_trace(x, weight, bias, eps, type);
  const auto step = std::shared_ptr<NormStep>(new NormStep(x, weight, bias, made), torch::autograd::deleteNode);
  return with_step(made.result, step, {x, weight, bias});
}

}  // namespace tessera
