#include "layers/linear_gradient.h"

#include "core/compat.h"
#include "kernels/activate.h"
#include "kernels/column_sums.h"
#include "kernels/matrix_product.h"
#include "layers/way_back.h"

namespace tessera {
namespace {

using torch::autograd::variable_list;

Tensor as_matrix(const Tensor& x) { return x.reshape({-1, x.size(-1)}); }

/// By x, weight, bias and residual.
class LinearStep : public torch::autograd::Node {
 public:
  LinearStep(const Tensor& x, const Tensor& narrow_x, const Tensor& weight, const Tensor& bias)
      : shape_(x.sizes().vec()),
        type_(x.scalar_type()),
        has_bias_(bias.defined()),
        weight_(weight, false),
        x_(type_ == torch::kBFloat16 ? KeptInput(x) : KeptInput(narrow_x)) {}

  variable_list apply(variable_list&& gradients) override {
    refuse_second_gradient("linear layer");
    variable_list to(4);
    const Tensor gradient = gradients[0];
    if (!gradient.defined()) return to;
    to[3] = gradient;
    const bool wants_bias = has_bias_ && task_should_compute_output(2);
    const Tensor rows = narrowed(as_matrix(gradient), wants_bias ? &to[2] : nullptr);
    if (task_should_compute_output(0)) to[0] = matrix_product(rows, narrowed(weight_.unpack()), type_).view(shape_);
    if (task_should_compute_output(1)) to[1] = matrix_product(rows.t(), as_matrix(x_.get()), torch::kFloat32);
    return to;
  }

  void release_variables() override {
    weight_.reset_data();
    x_.forget();
  }

  std::string name() const override { return "LinearStep"; }

 private:
  std::vector<int64_t> shape_;
  torch::ScalarType type_;
  bool has_bias_;
  torch::autograd::SavedVariable weight_;
  KeptInput x_;
};

}  // namespace

bool can_multiply_with_gradient(const Tensor& weight, const Tensor& bias) {
  const auto fits = [](const Tensor& y) { return y.is_cpu() && y.scalar_type() == torch::kFloat32; };
  return autocast_type() == torch::kBFloat16 && torch::GradMode::is_enabled() && fits(weight) &&
         (!bias.defined() || fits(bias)) && has_matrix_product();
}

bool can_multiply_with_gradient(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  return can_multiply_with_gradient(weight, bias) && learns({x, weight, bias}) && can_activate(x) && x.dim() > 0;
}

Tensor linear_with_gradient(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& residual) {
  const torch::ScalarType type = residual.defined() ? torch::kFloat32 : torch::kBFloat16;
  const Tensor narrow_x = narrowed(x.detach()), more = residual.defined() ? as_matrix(residual.detach()) : residual;
  auto shape = x.sizes().vec();
  shape.back() = weight.size(0);
  const Tensor product = matrix_product(as_matrix(narrow_x), narrowed(weight.detach()).t(), type, bias, more);
  const auto step = std::shared_ptr<LinearStep>(new LinearStep(x, narrow_x, weight, bias), torch::autograd::deleteNode);
  return with_step(at::_unsafe_view(product, shape), step, {x, weight, bias, residual});
}

}  // namespace tessera
