#include "layers/device.h"

#include <ATen/Context.h>
#include <torch/cuda.h>

#include <charconv>
#include <optional>

#include "core/error.h"
#include "core/memory_limit.h"

namespace tessera {
namespace {

/// The N of "cuda:N"; -1 for anything else.
int64_t gpu_number(const std::string& name) {
  const std::string prefix = "cuda:";
  if (name == "cuda") return 0;
  if (!name.starts_with(prefix)) return -1;
  int8_t number = -1;
  const auto [end, problem] = std::from_chars(name.data() + prefix.size(), name.data() + name.size(), number);
  return problem == std::errc() && end == name.data() + name.size() ? number : -1;
}

}  // namespace

torch::Device device_named(const std::string& name, const std::string& where) {
  if (name == "cpu") return torch::kCPU;
  const int64_t number = gpu_number(name);
  if (number < 0) throw Error("'" + name + "' is no device", where, "give cpu, cuda or cuda:N");
  if (!at::globalContext().hasCUDART())
    throw Error("this program's LibTorch was built without CUDA", where,
                "build Tessera with a LibTorch that has it, or leave it out");
  const auto count = static_cast<int64_t>(torch::cuda::device_count());
  if (count == 0) throw Error("there is no GPU that CUDA can use", where, "look at `nvidia-smi`, or leave it out");
  if (number >= count)
    throw Error(
        "there is no GPU " + std::to_string(number), where,
        "they are counted from 0, and there " + (count == 1 ? std::string("is 1") : "are " + std::to_string(count)));
  if (memory_is_limited())
    throw Error("holds models on the CPU to a limit, and this one is for " + name, "--max-memory",
                "give one of --max-memory and " + where);
  return {torch::kCUDA, static_cast<c10::DeviceIndex>(number)};
}

namespace {

std::optional<torch::Device> first_device(const torch::nn::Module& model) {
  for (const auto& parameter : model.parameters(/*recurse=*/false)) return parameter.device();
  for (const auto& child : model.children())
    if (const auto device = first_device(*child)) return device;
  return {};
}

}  // namespace

torch::Device device_of(const torch::nn::Module& model) { return first_device(model).value_or(torch::kCPU); }

torch::Tensor DeviceTable::on(torch::Device device) const {
  if (device == numbers_.device()) return numbers_;
  const std::lock_guard lock(mutex_);
  if (!copy_.defined() || copy_.device() != device) copy_ = numbers_.to(device);
  return copy_;
}

TextBatch moved(const TextBatch& text, torch::Device device) {
  return {moved(text.ids, device), moved(text.mask, device), moved(text.type_ids, device)};
}

}  // namespace tessera
