#include "support/foreign_device.h"

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/device_graph.h"

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

/// What is being recorded on this thread: calls to be made again, and what memory held before they were made.
struct Tape {
  std::vector<std::function<void()>> calls;
  std::map<void*, std::vector<char>> before;

  /// To be called before the memory of `x` is written.
  void keep(const Tensor& x) {
    const at::Storage storage = on_cpu(x).storage();
    const auto* bytes = static_cast<const char*>(storage.data());
    before.try_emplace(storage.data(), bytes, bytes + storage.nbytes());
    held.push_back(storage);
  }
  /// As if nothing had been done.
  void restore() {
    for (const auto& [memory, bytes] : before) std::copy(bytes.begin(), bytes.end(), static_cast<char*>(memory));
    before.clear();
    held.clear();
  }

 private:
  std::vector<at::Storage> held;
};
thread_local Tape* tape = nullptr;

/// What has the host wait for a GPU: it looks at numbers, or a shape depends on them.
bool waits(const std::string& name) {
  static const std::set<std::string> names = {"aten::_local_scalar_dense",
                                              "aten::nonzero",
                                              "aten::masked_select",
                                              "aten::equal",
                                              "aten::is_nonzero",
                                              "aten::_unique2",
                                              "aten::unique_dim",
                                              "aten::bincount",
                                              "aten::histc",
                                              "aten::unique_consecutive",
                                              "aten::_index_put_impl_"};
  return names.contains(name) || name.find("repeat_interleave.Tensor") != std::string::npos;
}

bool share_memory(const Tensor& a, const Tensor& b) { return on_cpu(a).storage().data() == on_cpu(b).storage().data(); }

/// A recorded call gives new tensors: their numbers belong into those that the recording gave.
void refill(const c10::IValue& recorded, const c10::IValue& again) {
  if (recorded.isTensorList()) {
    const auto old_ones = recorded.toTensorVector(), new_ones = again.toTensorVector();
    for (size_t i = 0; i < old_ones.size(); ++i) refill(old_ones[i], new_ones[i]);
  } else if (recorded.isTensor() && recorded.toTensor().defined()) {
    const Tensor &to = recorded.toTensor(), &from = again.toTensor();
    if (!to.is_cpu() && !share_memory(to, from)) on_cpu(to).copy_(on_cpu(from));
  }
}

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

/// Makes the call and takes it down. @param arguments  at the top of the stack, too
void make_and_record(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const auto& schema = op.schema();
  const auto first = stack->end() - static_cast<std::ptrdiff_t>(schema.arguments().size());
  const std::vector<c10::IValue> arguments(first, stack->end());
  TORCH_CHECK(!waits(schema.name()), schema.name(), " would have the host wait, while a graph is recorded");
  for (size_t i = 0; i < arguments.size(); ++i) {
    const bool is_tensor = arguments[i].isTensor() && arguments[i].toTensor().defined();
    const auto* alias = schema.arguments()[i].alias_info();
    if (is_tensor && alias && alias->isWrite()) tape->keep(arguments[i].toTensor());
    TORCH_CHECK(!is_tensor || !arguments[i].toTensor().is_cpu() || arguments[i].toTensor().dim() == 0, schema.name(),
                " reads memory of the CPU, while a graph is recorded");
    if (!arguments[i].isOptionalTensorList()) continue;
    for (const auto& index : arguments[i].toOptionalTensorVector())
      TORCH_CHECK(!index || !index->defined() || (index->scalar_type() != torch::kBool && !index->is_cpu()),
                  schema.name(), " counts the places of an index, while a graph is recorded");
  }
  Call(op).go(stack);
  if (schema.name().starts_with("aten::empty")) return;  // memory, which stays
  const std::vector<c10::IValue> results(stack->end() - static_cast<std::ptrdiff_t>(schema.returns().size()),
                                         stack->end());
  tape->calls.emplace_back([op, arguments, results] {
    torch::jit::Stack again = arguments;
    Call(op).go(&again);
    for (size_t i = 0; i < results.size(); ++i) refill(results[i], again[i]);
  });
}

void by_cpu(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const at::AutoDispatchBelowADInplaceOrView below_gradients;
  tape ? make_and_record(op, stack) : Call(op).go(stack);
}

Tensor either_on_cpu(const Tensor& x) { return x.defined() && !x.is_cpu() ? on_cpu(x) : x; }

/// The one operator that tensors of two devices may meet in.
Tensor copy_from(const Tensor& from, const Tensor& to, bool non_blocking) {
  if (tape) {
    TORCH_CHECK(!from.is_cpu() && !to.is_cpu(), "a copy from or to the CPU, while a graph is recorded");
    tape->keep(to);
    tape->calls.emplace_back([from, to] { on_cpu(to).copy_(on_cpu(from)); });
  }
  either_on_cpu(to).copy_(either_on_cpu(from), non_blocking);
  return to;
}

Tensor convolve(const Tensor& x, const Tensor& weight, const c10::optional<Tensor>& bias, at::IntArrayRef stride,
                at::IntArrayRef padding, at::IntArrayRef dilation, bool transposed, at::IntArrayRef output_padding,
                int64_t groups) {
  TORCH_CHECK(!x.is_cpu() && !weight.is_cpu(), "a convolution was given a tensor of the CPU");
  const c10::optional<Tensor> shift = bias && bias->defined() ? c10::optional<Tensor>(on_cpu(*bias)) : c10::nullopt;
  const auto product = [=, stride = stride.vec(), padding = padding.vec(), dilation = dilation.vec(),
                        output_padding = output_padding.vec()] {
    return at::convolution(on_cpu(x), on_cpu(weight), shift, stride, padding, dilation, transposed, output_padding,
                           groups);
  };
  const Tensor y = product();
  if (tape) tape->calls.emplace_back([y, product] { Tensor(y).copy_(product()); });
  return on_device(y);
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

class ForeignGraph : public DeviceGraph {
 public:
  void run(const std::function<void()>& work) override { work(); }
  void replay() override {
    const torch::NoGradGuard no_gradient;
    for (const auto& call : tape_.calls) call();
    ++replays;
  }

  static inline int64_t replays = 0;

 private:
  void take_down(const std::function<void()>& work) override {
    tape_ = {};
    tape = &tape_;
    try {
      work();
    } catch (...) {
      tape = nullptr;
      tape_.restore();
      throw;
    }
    tape = nullptr;
    tape_.restore();
  }

  Tape tape_;
};

const c10::impl::DeviceGuardImplRegistrar guard(kType, new c10::impl::NoOpDeviceGuardImpl<kType>());

}  // namespace

torch::Device foreign_device() { return {kType, 0}; }

WithForeignGraphs::WithForeignGraphs() {
  ForeignGraph::replays = 0;
  set_device_graphs(kType,
                    [](c10::Device) -> std::unique_ptr<DeviceGraph> { return std::make_unique<ForeignGraph>(); });
}

WithForeignGraphs::~WithForeignGraphs() { set_device_graphs(kType, nullptr); }

int64_t WithForeignGraphs::replays() { return ForeignGraph::replays; }

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
