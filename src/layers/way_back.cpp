#include "layers/way_back.h"

#include <torch/csrc/autograd/variable.h>

#include <algorithm>

#include "core/error.h"

namespace tessera {

KeptInput::KeptInput(const Tensor& x) {
  const auto maker = x.grad_fn();
  if (dynamic_cast<Remakes*>(maker.get()))
    maker_ = maker;
  else
    kept_ = torch::autograd::SavedVariable(x, /*is_output=*/false);
}

Tensor KeptInput::get() const { return maker_ ? dynamic_cast<Remakes&>(*maker_).make_again() : kept_.unpack(); }

void KeptInput::forget() {
  maker_.reset();
  kept_.reset_data();
}

Tensor with_step(Tensor result, const std::shared_ptr<torch::autograd::Node>& step, const std::vector<Tensor>& inputs) {
  torch::autograd::edge_list edges;
  for (const Tensor& input : inputs)
    edges.push_back(input.defined() ? torch::autograd::impl::gradient_edge(input) : torch::autograd::Edge());
  step->set_next_edges(std::move(edges));
  torch::autograd::impl::set_gradient_edge(result, {step, step->add_input_metadata(result)});
  return result;
}

bool learns(const std::vector<Tensor>& tensors) {
  return torch::GradMode::is_enabled() &&
         std::any_of(tensors.begin(), tensors.end(), [](const Tensor& x) { return x.defined() && x.requires_grad(); });
}

void refuse_second_gradient(const std::string& what) {
  if (torch::GradMode::is_enabled())
    throw Error("has no gradient of its gradient", what, "differentiate once, without create_graph");
}

}  // namespace tessera
