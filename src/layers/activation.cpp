#include "layers/activation.h"

#include <map>

#include "core/options.h"
#include "layers/elementwise.h"

namespace tessera {
namespace {

using torch::Tensor;

const std::map<std::string, Activation>& table() {
  static const std::map<std::string, Activation> activations = {
      {"gelu", elementwise::gelu},
      {"gelu_new", elementwise::gelu_tanh},
      {"gelu_pytorch_tanh", elementwise::gelu_tanh},
      {"quick_gelu", elementwise::quick_gelu},
      {"relu", [](const Tensor& x) { return torch::relu(x); }},
      {"silu", elementwise::silu},
      {"swish", elementwise::silu},
      {"tanh", elementwise::tanh},
      {"sigmoid", elementwise::sigmoid},
      {"identity", [](const Tensor& x) { return x; }},
  };
  return activations;
}

}  // namespace

Activation activation(const std::string& name) {
  std::vector<std::string> names;
  for (const auto& [known, function] : table()) names.push_back(known);
  check_choice(name, names, "activation");
  return table().at(name);
}

std::optional<Nonlinearity> nonlinearity(Activation activation) {
  static const std::map<std::string, Nonlinearity> kinds = {{"gelu", Nonlinearity::kGelu},
                                                            {"gelu_new", Nonlinearity::kGeluTanh},
                                                            {"gelu_pytorch_tanh", Nonlinearity::kGeluTanh},
                                                            {"quick_gelu", Nonlinearity::kQuickGelu},
                                                            {"relu", Nonlinearity::kRelu},
                                                            {"silu", Nonlinearity::kSilu},
                                                            {"swish", Nonlinearity::kSilu},
                                                            {"tanh", Nonlinearity::kTanh},
                                                            {"sigmoid", Nonlinearity::kSigmoid},
                                                            {"identity", Nonlinearity::kIdentity}};
  if (!activation) return Nonlinearity::kIdentity;
  for (const auto& [name, function] : table())
    if (function == activation && kinds.contains(name)) return kinds.at(name);
  return {};
}

}  // namespace tessera
