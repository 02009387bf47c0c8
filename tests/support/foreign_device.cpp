#include "support/foreign_device.h"

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <set>
#include <string>
#include <vector>

namespace tessera::testing {
namespace {

using torch::Tensor;

constexpr auto kType = c10::DeviceType::XPU;

/// A tensor over somebody's storage that says it is elsewhere than the storage.
class TensorElsewhere : public c10::TensorImpl {
 public:
  TensorElsewhere(const Tensor& x, c10::DispatchKey key, c10::Device device)
      : TensorImpl(c10::Storage(x.storage()), c10::DispatchKeySet(key), x.dtype()) {
    device_opt_ = device;
    set_sizes_and_strides(x.sizes(), x.strides());
    set_storage_offset(x.storage_offset());
    if (x.is_conj()) _set_conj(true);
    if (x.is_neg()) _set_neg(true);
  }
};

Tensor elsewhere(const Tensor& x, c10::DispatchKey key, c10::Device device) {
  return Tensor(c10::make_intrusive<TensorElsewhere>(x, key, device));
}

Tensor on_cpu(const Tensor& x) { return elsewhere(x, c10::DispatchKey::CPU, c10::Device(c10::kCPU)); }
Tensor on_device(const Tensor& x) { return elsewhere(x, c10::DispatchKey::XPU, foreign_device()); }

/// An operator's call by the CPU's kernel, on the same memory.
class Call {
 public:
  explicit Call(const c10::OperatorHandle& op) : op_(op), name_(op.schema().name()) {}

  void go(torch::jit::Stack* stack) {
    const size_t count = op_.schema().arguments().size(), first = stack->size() - count;
    std::vector<c10::IValue> arguments(stack->begin() + static_cast<std::ptrdiff_t>(first), stack->end());
    stack->resize(first);
    for (const c10::IValue& argument : arguments) stack->push_back(taken(argument));
    op_.callBoxed(*stack);
    for (const auto& [given, cpu] : taken_)  // what was resized
      if (given.sizes() != cpu.sizes() || given.strides() != cpu.strides()) {
        given.unsafeGetTensorImpl()->set_sizes_and_strides(cpu.sizes(), cpu.strides());
        given.unsafeGetTensorImpl()->set_storage_offset(cpu.storage_offset());
      }
    const size_t results = op_.schema().returns().size();
    for (size_t i = stack->size() - results; i < stack->size(); ++i) (*stack)[i] = given_back((*stack)[i]);
  }

 private:
  Tensor taken(const Tensor& x) {
    if (!x.defined()) return x;
    if (x.is_cpu()) {
      // As on a GPU: a number may be on the CPU, and so may the places of an index.
      TORCH_CHECK(x.dim() == 0 || name_ == "aten::index" || name_.find("index_put") != std::string::npos, name_,
                  " was given a tensor of the CPU, of shape ", x.sizes(), ", with tensors of another device");
      return x;
    }
    taken_.emplace_back(x, on_cpu(x));
    return taken_.back().second;
  }

  c10::IValue taken(const c10::IValue& value) {
    if (value.isTensor()) return taken(value.toTensor());
    if (value.isDevice()) return c10::IValue(c10::Device(c10::kCPU));
    if (value.isTensorList()) {
      c10::List<Tensor> list;
      for (const Tensor& x : value.toTensorVector()) list.push_back(taken(x));
      return list;
    }
    if (value.isOptionalTensorList()) {
      c10::List<c10::optional<Tensor>> list;
      for (const auto& x : value.toOptionalTensorVector()) {
        c10::optional<Tensor> next;
        if (x) next = taken(*x);
        list.push_back(next);
      }
      return list;
    }
    return value;
  }

  Tensor given_back(const Tensor& x) const {
    if (!x.defined()) return x;
    for (const auto& [given, cpu] : taken_)
      if (cpu.is_same(x)) return given;
    return x.is_cpu() ? on_device(x) : x;
  }

  c10::IValue given_back(const c10::IValue& value) const {
    if (value.isTensor()) return given_back(value.toTensor());
    if (!value.isTensorList()) return value;
    c10::List<Tensor> list;
    for (const Tensor& x : value.toTensorVector()) list.push_back(given_back(x));
    return list;
  }

  const c10::OperatorHandle& op_;
  std::string name_;
  std::vector<std::pair<Tensor, Tensor>> taken_;  ///< as given, and on the CPU
};

void by_cpu(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const at::AutoDispatchBelowADInplaceOrView below_gradients;
  Call(op).go(stack);
}

Tensor either_on_cpu(const Tensor& x) { return x.defined() && !x.is_cpu() ? on_cpu(x) : x; }

/// The one operator that tensors of two devices may meet in.
Tensor copy_from(const Tensor& from, const Tensor& to, bool non_blocking) {
  either_on_cpu(to).copy_(either_on_cpu(from), non_blocking);
  return to;
}

Tensor convolve(const Tensor& x, const Tensor& weight, const c10::optional<Tensor>& bias, at::IntArrayRef stride,
                at::IntArrayRef padding, at::IntArrayRef dilation, bool transposed, at::IntArrayRef output_padding,
                int64_t groups) {
  TORCH_CHECK(!x.is_cpu() && !weight.is_cpu(), "a convolution was given a tensor of the CPU");
  const c10::optional<Tensor> shift = bias && bias->defined() ? c10::optional<Tensor>(on_cpu(*bias)) : c10::nullopt;
  return on_device(
      at::convolution(on_cpu(x), on_cpu(weight), shift, stride, padding, dilation, transposed, output_padding, groups));
}

std::tuple<Tensor, Tensor, Tensor> convolve_back(const Tensor& gradient, const Tensor& x, const Tensor& weight,
                                                 at::IntArrayRef stride, at::IntArrayRef padding,
                                                 at::IntArrayRef dilation, bool transposed,
                                                 at::IntArrayRef output_padding, int64_t groups,
                                                 std::array<bool, 3> wanted) {
  const std::vector<int64_t> biases = {transposed ? weight.size(1) * groups : weight.size(0)};
  const auto [to_x, to_weight, to_bias] =
      at::convolution_backward(on_cpu(gradient), on_cpu(x), on_cpu(weight), at::IntArrayRef(biases), stride, padding,
                               dilation, transposed, output_padding, groups, wanted);
  const auto back = [](const Tensor& made) { return made.defined() ? on_device(made) : made; };
  return {back(to_x), back(to_weight), back(to_bias)};
}

const c10::impl::DeviceGuardImplRegistrar guard(kType, new c10::impl::NoOpDeviceGuardImpl<kType>());

}  // namespace

torch::Device foreign_device() { return {kType, 0}; }

TORCH_LIBRARY_IMPL(_, XPU, library) { library.fallback(torch::CppFunction::makeFromBoxedFunction<&by_cpu>()); }

TORCH_LIBRARY_IMPL(aten, XPU, library) {
  library.impl("_copy_from", &copy_from);
  library.impl("convolution_overrideable", &convolve);
  library.impl("convolution_backward_overrideable", &convolve_back);
  // Their own forms make tensors over a storage, which here is the CPU's.
  for (const char* name : {"alias", "detach", "_unsafe_view"})
    library.impl(name, torch::CppFunction::makeFromBoxedFunction<&by_cpu>());
}

// The copy itself makes of a conjugate or negative view what it stands for.
TORCH_LIBRARY_IMPL(aten, Conjugate, library) { library.impl("_copy_from", torch::CppFunction::makeFallthrough()); }
TORCH_LIBRARY_IMPL(aten, Negative, library) { library.impl("_copy_from", torch::CppFunction::makeFallthrough()); }

}  // namespace tessera::testing
