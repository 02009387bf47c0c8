#include "train/optimizer.h"

#include <cmath>

#include "core/error.h"
#include "kernels/adamw.h"

namespace tessera {
namespace {

bool names_any(const std::string& name, const std::vector<std::string>& parts) {
  for (const auto& part : parts)
    if (name.find(part) != std::string::npos) return true;
  return false;
}

}  // namespace

void check_optimizer(const OptimizerOptions& o, const std::string& where) {
  if (o.learning_rate <= 0) throw Error("must be positive", where + ".learning_rate");
  if (o.weight_decay < 0) throw Error("must not be negative", where + ".weight_decay");
  if (o.beta1 < 0 || o.beta1 >= 1) throw Error("must lie in [0, 1)", where + ".beta1");
  if (o.beta2 < 0 || o.beta2 >= 1) throw Error("must lie in [0, 1)", where + ".beta2");
  if (o.eps <= 0) throw Error("must be positive", where + ".eps");
  if (o.clip < 0) throw Error("must not be negative", where + ".clip");
}

AdamW::AdamW(NamedTensors parameters, const OptimizerOptions& options) : options_(options) {
  for (auto& [name, parameter] : parameters) {
    if (!parameter.requires_grad()) continue;
    const bool decays = parameter.dim() >= 2 && !names_any(name, options.no_decay);
    decay_.push_back(decays ? options.weight_decay : 0);
    double rate = 1;
    for (const auto& [part, factor] : options.rates)
      if (name.find(part) != std::string::npos) rate = factor;
    rate_.push_back(rate);
    mean_.push_back(torch::zeros_like(parameter, at::MemoryFormat::Contiguous).detach());
    square_.push_back(torch::zeros_like(parameter, at::MemoryFormat::Contiguous).detach());
    parameters_.emplace_back(name, parameter);
  }
}

void AdamW::step(double factor) {
  torch::NoGradGuard no_gradient;
  ++steps_;
  const auto& o = options_;
  const double correction1 = 1 - std::pow(o.beta1, static_cast<double>(steps_));
  const double correction2 = 1 - std::pow(o.beta2, static_cast<double>(steps_));
  for (size_t i = 0; i < parameters_.size(); ++i) {
    Tensor& parameter = parameters_[i].second;
    const Tensor& gradient = parameter.grad();
    if (!gradient.defined()) continue;
    const double rate = o.learning_rate * factor * rate_[i];
    const auto fits = [](const Tensor& x) { return x.is_cpu() && x.scalar_type() == torch::kFloat32; };
    if (fits(parameter) && fits(gradient) && parameter.is_contiguous()) {
      adamw_step(parameter, gradient.contiguous(), mean_[i], square_[i],
                 {static_cast<float>(rate), static_cast<float>(decay_[i]), static_cast<float>(o.beta1),
                  static_cast<float>(o.beta2), static_cast<float>(o.eps), static_cast<float>(correction1),
                  static_cast<float>(correction2)});
      continue;
    }
    if (decay_[i] > 0) parameter.mul_(1 - rate * decay_[i]);
    mean_[i].mul_(o.beta1).add_(gradient, 1 - o.beta1);
    square_[i].mul_(o.beta2).addcmul_(gradient, gradient, 1 - o.beta2);
    const Tensor denominator = square_[i].sqrt().div_(std::sqrt(correction2)).add_(o.eps);
    parameter.addcdiv_(mean_[i], denominator, -rate / correction1);
  }
}

void AdamW::clear_gradients() {
  for (auto& [name, parameter] : parameters_) parameter.mutable_grad().reset();
}

NamedTensors AdamW::state() const {
  NamedTensors state;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    state.emplace_back("mean." + parameters_[i].first, mean_[i]);
    state.emplace_back("square." + parameters_[i].first, square_[i]);
  }
  return state;
}

double clip_gradients(const NamedTensors& parameters, double largest) {
  torch::NoGradGuard no_gradient;
  double sum = 0;
  for (const auto& [name, parameter] : parameters) {
    if (!parameter.grad().defined()) continue;
    const double norm = parameter.grad().norm().item<double>();
    if (!std::isfinite(norm)) throw Error("its gradient holds NaN or infinity", name);
    sum += norm * norm;
  }
  const double norm = std::sqrt(sum);
  if (largest > 0 && norm > largest)
    for (const auto& [name, parameter] : parameters)
      if (parameter.grad().defined()) parameter.grad().mul_(largest / (norm + 1e-6));
  return norm;
}

}  // namespace tessera
