#include "layers/prepare.h"

#include <cxxabi.h>

#include <cstdlib>
#include <memory>

#include "core/error.h"
#include "kernels/packed_linear.h"

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
  visit("", model);
  for (const auto& item : model.named_modules("", /*include_self=*/false)) visit(item.key(), *item.value());
  return parts;
}

}  // namespace tessera
