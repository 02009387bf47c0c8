#include "layers/activation_gradient.h"

#include "kernels/activate.h"
#include "layers/way_back.h"

namespace tessera {
namespace {

using torch::autograd::variable_list;

class ActivationStep : public Remakes {
 public:
  ActivationStep(const Tensor& x, Nonlinearity kind, bool gated) : x_(x, false), kind_(kind), gated_(gated) {}

  Tensor make_again() override { return fused_activation(x_.unpack(), kind_, gated_); }

  variable_list apply(variable_list&& gradients) override {
    refuse_second_gradient("activation");
    if (!gradients[0].defined()) return variable_list(1);
    return {activation_gradient(x_.unpack(), gradients[0], kind_, gated_)};
  }

  void release_variables() override { x_.reset_data(); }
  std::string name() const override { return "ActivationStep"; }

 private:
  torch::autograd::SavedVariable x_;
  Nonlinearity kind_;
  bool gated_;
};

}  // namespace

Tensor activation_with_gradient(const Tensor& x, Nonlinearity kind, bool gated) {
  const auto step = std::shared_ptr<ActivationStep>(new ActivationStep(x, kind, gated), torch::autograd::deleteNode);
  return with_step(fused_activation(x, kind, gated), step, {x});
}

}  // namespace tessera
