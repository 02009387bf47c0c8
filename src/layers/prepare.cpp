#include "layers/prepare.h"

#include <cxxabi.h>

#include <cstdlib>
#include <memory>
#include <set>

#include "core/error.h"
#include "io/checkpoint.h"
#include "kernels/packed_linear.h"
#include "layers/weights.h"

namespace tessera {
namespace {

/// "Linear" for a tessera::Linear.
std::string kind_of(const torch::nn::Module& module) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> name(
      abi::__cxa_demangle(typeid(module).name(), nullptr, nullptr, &status), &std::free);
  const std::string whole = status == 0 ? name.get() : module.name();
  const size_t colon = whole.rfind("::");
  return colon == std::string::npos ? whole : whole.substr(colon + 2);
}

template <class ModuleType, class Visit>
void each_module(ModuleType& model, const Visit& visit) {
  visit("", model);
  for (const auto& item : model.named_modules("", /*include_self=*/false)) visit(item.key(), *item.value());
}

void widen(Tensor& tensor) {
  if (tensor.scalar_type() != torch::kFloat64) tensor.set_data(tensor.to(torch::kFloat32));
}

constexpr const char* kFormat = "tessera-prepared-1";  // changes with the order of numbers in a panel
constexpr const char* kPacked = ":packed.";            // behind the path of a part, which has no colon

}  // namespace

std::vector<PreparedPart> prepare(Module& model, Precision precision) {
  const torch::NoGradGuard no_gradient;
  model.eval();
  std::vector<PreparedPart> parts;
  const auto visit = [&](const std::string& path, torch::nn::Module& module) {
    PreparedPart part{.path = path, .kind = kind_of(module)};
    for (const auto& parameter : module.parameters(/*recurse=*/false)) part.parameters += parameter.numel();
    if (part.parameters == 0) return;
    auto* preparable = dynamic_cast<Preparable*>(&module);
    part.left = preparable ? preparable->prepare(precision) : "has no fast form";
    if (preparable && part.left.empty()) part.bytes = preparable->packed_bytes();
    parts.push_back(std::move(part));
  };
  each_module(model, visit);
  for (auto& [path, tensor] : named_tensors(model))
    if (tensor.is_floating_point() && !is_packed_away(tensor)) widen(tensor);
  return parts;
}

void save_prepared(const Module& model, Precision precision, const std::filesystem::path& file) {
  std::vector<std::pair<std::string, Tensor>> tensors;
  each_module(model, [&](const std::string& path, const torch::nn::Module& module) {
    const auto* preparable = dynamic_cast<const Preparable*>(&module);
    if (!preparable) return;
    for (const auto& [name, part] : preparable->packed()) tensors.emplace_back(path + kPacked + name, part);
  });
  for (const auto& [path, tensor] : named_tensors(model))
    if (!is_packed_away(tensor)) tensors.emplace_back(path, tensor.contiguous());
  save_checkpoint(file, tensors,
                  {{"format", kFormat}, {"precision", precision_names()[static_cast<size_t>(precision)]}});
}

Precision load_prepared(Module& model, const std::filesystem::path& file) {
  const torch::NoGradGuard no_gradient;
  const Checkpoint checkpoint = Checkpoint::open(file);
  const auto& metadata = checkpoint.metadata();
  if (!metadata.contains("format") || metadata.at("format") != kFormat || !metadata.contains("precision"))
    throw Error("is no file of prepared weights", file.string(), "`tessera prepare` writes one");
  const Precision precision = precision_of(metadata.at("precision"), file.string());
  std::set<std::string> unused;
  for (const auto& [name, info] : checkpoint.tensors()) unused.insert(name);
  const auto take = [&](const std::string& name) {
    unused.erase(name);
    return checkpoint.tensor(name);
  };
  model.eval();
  each_module(model, [&](const std::string& path, torch::nn::Module& module) {
    auto* preparable = dynamic_cast<Preparable*>(&module);
    if (!preparable) return;
    std::map<std::string, Tensor> parts;
    const std::string prefix = path + kPacked;
    for (auto at = checkpoint.tensors().lower_bound(prefix);
         at != checkpoint.tensors().end() && at->first.starts_with(prefix); ++at)
      parts[at->first.substr(prefix.size())] = take(at->first);
    preparable->restore(precision, parts);
  });
  for (auto& [path, tensor] : named_tensors(model)) {
    if (is_packed_away(tensor)) continue;
    if (!checkpoint.has(path)) throw Error("has no tensor '" + path + "'", file.string(), "prepare the model anew");
    const Tensor stored = take(path);
    if (stored.sizes() != tensor.sizes() || stored.scalar_type() != tensor.scalar_type())
      throw Error("tensor '" + path + "' does not fit the config", file.string(), "prepare the model anew");
    tensor.set_data(stored);
  }
  if (!unused.empty())
    throw Error("has a tensor that the model has no place for: '" + *unused.begin() + "'", file.string(),
                "the file and the config do not belong together");
  return precision;
}

}  // namespace tessera
