#include "layers/activation.h"

#include <map>

#include "core/options.h"

namespace tessera {
namespace {

using torch::Tensor;

const std::map<std::string, Activation>& table() {
  static const std::map<std::string, Activation> activations = {
      {"gelu", [](const Tensor& x) { return torch::gelu(x); }},
      {"gelu_new", [](const Tensor& x) { return torch::gelu(x, "tanh"); }},
      {"gelu_pytorch_tanh", [](const Tensor& x) { return torch::gelu(x, "tanh"); }},
      {"quick_gelu", [](const Tensor& x) { return x * torch::sigmoid(1.702 * x); }},
      {"relu", [](const Tensor& x) { return torch::relu(x); }},
      {"silu", [](const Tensor& x) { return torch::silu(x); }},
      {"swish", [](const Tensor& x) { return torch::silu(x); }},
      {"tanh", [](const Tensor& x) { return torch::tanh(x); }},
      {"sigmoid", [](const Tensor& x) { return torch::sigmoid(x); }},
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

}  // namespace tessera
