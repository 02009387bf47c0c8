#include "layers/recompute.h"

#include <ATen/CPUGeneratorImpl.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "core/compat.h"

namespace tessera {
namespace {

thread_local bool active_here = false;

/// Sets it for a while.
class ActiveHere {
 public:
  explicit ActiveHere(bool value) : outer_(active_here) { active_here = value; }
  ~ActiveHere() { active_here = outer_; }
  ActiveHere(const ActiveHere&) = delete;
  ActiveHere& operator=(const ActiveHere&) = delete;

 private:
  bool outer_;
};

/// LibTorch's generator as it was, while this lives.
class Draws {
 public:
  explicit Draws(const Tensor& state) : now_(get()) { set(state); }
  ~Draws() { set(now_); }
  Draws(const Draws&) = delete;
  Draws& operator=(const Draws&) = delete;

  static Tensor get() {
    auto generator = at::detail::getDefaultCPUGenerator();
    const std::lock_guard lock(generator.mutex());
    return generator.get_state();
  }

 private:
  static void set(const Tensor& state) {
    auto generator = at::detail::getDefaultCPUGenerator();
    const std::lock_guard lock(generator.mutex());
    generator.set_state(state);
  }
  Tensor now_;
};

/// What has to be done once more, and under which circumstances.
struct Job : torch::CustomClassHolder {
  std::function<Tensor(const Tensor&)> run;
  Tensor draws;
  torch::ScalarType precision = torch::kFloat32;
  bool differentiates_x = false;
};

struct Recompute : torch::autograd::Function<Recompute> {
  /// `anchor` makes the result part of the graph where x is not: the first block of a frozen model, whose parameters
  /// inside are learned.
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& x, const Tensor& /*anchor*/,
                        const c10::intrusive_ptr<Job>& job) {
    context->save_for_backward({x});
    context->saved_data["job"] = c10::IValue::make_capsule(job);
    return job->run(x);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const auto job = c10::static_intrusive_pointer_cast<Job>(context->saved_data.at("job").toCapsule());
    const Tensor x = context->get_saved_variables().front().detach().requires_grad_(job->differentiates_x);
    Tensor y;
    {
      const ActiveHere off(false);
      const Draws draws(job->draws);
      const Autocast autocast(job->precision);
      const torch::AutoGradMode with_gradient(true);
      y = job->run(x);
    }
    torch::autograd::backward({y}, {gradients.front()});
    return {x.grad(), Tensor(), Tensor()};
  }
};

}  // namespace

Recomputation::Recomputation() : outer_(active_here) { active_here = true; }
Recomputation::~Recomputation() { active_here = outer_; }
bool Recomputation::active() { return active_here && torch::GradMode::is_enabled(); }

Tensor recomputed(const torch::nn::Module& module, std::function<Tensor(const Tensor&)> run, const Tensor& x) {
  const ActiveHere off(false);
  const auto parameters = module.parameters();
  const bool learns =
      std::any_of(parameters.begin(), parameters.end(), [](const Tensor& one) { return one.requires_grad(); });
  if (!learns && !x.requires_grad()) return run(x);
  const auto job = c10::make_intrusive<Job>();
  job->run = std::move(run);
  job->draws = Draws::get();
  job->precision = autocast_type();
  job->differentiates_x = x.requires_grad();
  return Recompute::apply(x, torch::empty({0}).requires_grad_(learns), job);
}

}  // namespace tessera
