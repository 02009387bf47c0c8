#include "layers/prepare.h"

#include <cxxabi.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <set>

#include "core/error.h"
#include "core/process_memory.h"
#include "core/progress.h"
#include "core/shape_text.h"
#include "kernels/packed_linear.h"
#include "layers/weight_loader.h"

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

/// What was prepared on another device than the CPU keeps its tensors, narrow ones among them.
using NarrowOnes = std::set<const c10::TensorImpl*>;

/// What is not packed becomes float32.
void widen(Tensor tensor, const NarrowOnes& narrow) {
  if (!tensor.defined() || !tensor.is_floating_point() || is_packed_away(tensor)) return;
  if (tensor.scalar_type() == torch::kFloat64 || narrow.contains(tensor.unsafeGetTensorImpl())) return;
  tensor.set_data(tensor.to(torch::kFloat32));
}

void widen_own(torch::nn::Module& module, const NarrowOnes& narrow) {
  for (const auto& tensor : module.parameters(/*recurse=*/false)) widen(tensor, narrow);
  for (const auto& tensor : module.buffers(/*recurse=*/false)) widen(tensor, narrow);
}

/// "2:4", where the packed weights have such a pattern.
std::string pattern_of(const std::map<std::string, Tensor>& parts) {
  const auto found = parts.find("pattern");
  if (found == parts.end()) return "";
  const auto* numbers = found->second.data_ptr<int64_t>();
  return std::to_string(numbers[0]) + ":" + std::to_string(numbers[1]);
}

/// Packs a part that has its weights. @param part  gets what became of it
void pack(torch::nn::Module& module, Precision precision, PreparedPart& part, NarrowOnes& narrow) {
  auto* preparable = dynamic_cast<Preparable*>(&module);
  part.left = preparable ? preparable->prepare(precision) : "has no fast form";
  if (preparable && part.left.empty())
    for (const Tensor& tensor : module.parameters(/*recurse=*/false))
      if (!tensor.is_cpu()) {
        narrow.insert(tensor.unsafeGetTensorImpl());
        part.bytes += static_cast<int64_t>(tensor.nbytes());
      }
  widen_own(module, narrow);
  if (!preparable || !part.left.empty()) return;
  part.bytes += preparable->packed_bytes();
  part.sparse = pattern_of(preparable->packed());
}

/// What a part was packed from: pages of the file, and copies that the process would keep for others.
void give_back(const std::vector<MemoryRange>& pages, const PreparedPart& part) {
  constexpr int64_t kWorthwhile = 1 << 18;  // parameters
  for (const MemoryRange& range : pages) give_back_pages(range);
  if (part.parameters >= kWorthwhile) give_back_freed_memory();
}

/// The order in which parts are packed: what the largest takes on the way is gone when the others are there.
std::vector<size_t> largest_first(const std::vector<PreparedPart>& parts) {
  std::vector<size_t> order(parts.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return parts[a].parameters > parts[b].parameters; });
  return order;
}

/// prepare(). @param loader  if not null, fills each part before it is packed
std::vector<PreparedPart> prepare_parts(Module& model, Precision precision, const PartQuantiser& quantiser,
                                        WeightLoader* loader) {
  const torch::NoGradGuard no_gradient;
  model.eval();
  std::vector<PreparedPart> parts;
  std::vector<torch::nn::Module*> modules;
  each_module(model, [&](const std::string& path, torch::nn::Module& module) {
    PreparedPart part{.path = path, .kind = kind_of(module)};
    for (const auto& parameter : module.parameters(/*recurse=*/false)) part.parameters += parameter.numel();
    if (part.parameters == 0) return;
    parts.push_back(std::move(part));
    modules.push_back(&module);
  });
  NarrowOnes narrow;
  Progress progress("packing", static_cast<int64_t>(parts.size()), "parts");
  for (const size_t i : largest_first(parts)) {
    if (loader) loader->fill(parts[i].path);
    const auto pages = loader ? loader->pages(parts[i].path) : std::vector<MemoryRange>();
    {
      const ReadOncePages once(pages);
      const auto of_part = [&](const Tensor& weight, int64_t group) { return quantiser(parts[i].path, weight, group); };
      const QuantisedBy by(quantiser ? Quantiser(of_part) : nullptr);
      pack(*modules[i], precision, parts[i], narrow);
    }
    if (loader) give_back(pages, parts[i]);
    progress.step(1, parts[i].path);
  }
  if (loader) loader->fill_rest();
  give_back_freed_memory();
  for (const auto& [path, tensor] : named_tensors(model)) widen(tensor, narrow);
  return parts;
}

constexpr const char* kFormat = "tessera-prepared-1";  // changes with the order of numbers in a panel
constexpr const char* kPacked = ":packed.";            // behind the path of a part, which has no colon

}  // namespace

std::vector<PreparedPart> prepare(Module& model, Precision precision, const PartQuantiser& quantiser) {
  return prepare_parts(model, precision, quantiser, nullptr);
}

std::vector<PreparedPart> load_and_prepare(Module& model, const Checkpoint& checkpoint, const NameTable& names,
                                           Precision precision, StoredTensors* stored) {
  WeightLoader loader(model, checkpoint, names, /*keep_types=*/true);
  auto parts = prepare_parts(model, precision, nullptr, &loader);
  if (stored) *stored = loader.stored();
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

Precision prepared_precision(const Checkpoint& file) {
  const auto& metadata = file.metadata();
  if (!metadata.contains("format") || metadata.at("format") != kFormat || !metadata.contains("precision"))
    throw Error("is no file of prepared weights", file.path().string(), "`tessera prepare` writes one");
  return precision_of(metadata.at("precision"), file.path().string());
}

int64_t weight_bytes(const Module& model) {
  int64_t bytes = 0;
  for (const auto& [path, tensor] : named_tensors(model))
    if (!is_packed_away(tensor)) bytes += static_cast<int64_t>(tensor.nbytes());
  each_module(model, [&](const std::string&, const torch::nn::Module& module) {
    if (const auto* preparable = dynamic_cast<const Preparable*>(&module)) bytes += preparable->packed_bytes();
  });
  return bytes;
}

bool is_prepared(const Module& model) {
  const auto tensors = named_tensors(model);
  return std::any_of(tensors.begin(), tensors.end(), [](const auto& item) { return is_packed_away(item.second); });
}

Precision load_prepared(Module& model, const std::filesystem::path& file) {
  const torch::NoGradGuard no_gradient;
  const Checkpoint checkpoint = Checkpoint::open(file);
  const Precision precision = prepared_precision(checkpoint);
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
    try {
      preparable->restore(precision, parts);
    } catch (const Error& error) {
      throw error.within(file.string() + ": '" + path + "'");
    }
    if (!parts.empty() && preparable->packed().empty())
      throw Error("has packed weights for '" + path + "', which takes none", file.string(), "prepare the model anew");
  });
  for (auto& [path, tensor] : named_tensors(model)) {
    if (is_packed_away(tensor)) continue;
    if (!checkpoint.has(path)) throw Error("has no tensor '" + path + "'", file.string(), "prepare the model anew");
    const Tensor stored = take(path);
    if (stored.sizes() != tensor.sizes() || stored.scalar_type() != tensor.scalar_type())
      throw Error("tensor '" + path + "' is " + shape_text(stored.sizes(), stored.scalar_type()) +
                      ", the config asks for " + shape_text(tensor.sizes(), tensor.scalar_type()),
                  file.string(), "prepare the model anew");
    tensor.set_data(stored);
  }
  if (!unused.empty())
    throw Error("has a tensor that the model has no place for: '" + *unused.begin() + "'", file.string(),
                "the file and the config do not belong together");
  return precision;
}

}  // namespace tessera
