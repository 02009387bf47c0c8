// Every family whose recorded run is here takes LoRA, and merging it equals not merging it.
#include <gtest/gtest.h>

#include "layers/promises.h"
#include "parity/compare.h"
#include "tune/adapter.h"

namespace tessera::parity {
namespace {

/// The results of a recorded case that a variation of the model can change.
Outputs run(const Golden& golden, const Case& item, const System& system) {
  const torch::NoGradGuard no_grad;
  Inputs inputs;
  for (const auto& [name, key] : item.inputs) inputs[name] = golden.tensors->tensor(key).clone();
  Outputs results;
  for (const auto& [name, value] : system.call(item, inputs))
    if (value.defined() && value.is_floating_point()) results[name] = value;
  return results;
}

double largest_distance(const Outputs& a, const Outputs& b) {
  double largest = 0;
  for (const auto& [name, value] : a) largest = std::max(largest, testing::distance(value, b.at(name)));
  return largest;
}

const Case* forward_case(const Golden& golden) {
  for (const Case& item : golden.cases)
    if (item.call.starts_with("forward") || item.call.starts_with("encode")) return &item;
  return nullptr;
}

TEST(AdapterOnEveryFamily, MergedEqualsUnmerged) {
  const PeftConfig config =
      PeftConfig::read({{"peft_type", "LORA"}, {"r", 2}, {"target_modules", "all-linear"}}, "adapter_config.json");
  int families = 0;
  for (const auto& folder : find_goldens({std::string(TESSERA_SOURCE_DIR) + "/tests/goldens"})) {
    const Golden golden = read_golden(folder);
    const Case* item = forward_case(golden);
    const auto found = adapters().find(golden.system);
    if (golden.kind != "model" || !item || found == adapters().end()) continue;
    if (golden.system == "lora" || golden.system == "mamba-360") continue;  // parts, some without a linear layer
    SCOPED_TRACE(folder.string());
    const System system = found->second(golden);
    if (!system.module) continue;
    system.module->eval();
    const Outputs plain = run(golden, *item, system);
    tessera::Adapter adapter = tessera::Adapter::attach(*system.module, system.names, config);
    EXPECT_EQ(largest_distance(plain, run(golden, *item, system)), 0);
    {
      const torch::NoGradGuard no_grad;
      at::manual_seed(3);
      for (Tensor& parameter : adapter.parameters()) parameter.add_(torch::randn_like(parameter) * 0.05);
    }
    const Outputs active = run(golden, *item, system);
    EXPECT_GT(largest_distance(plain, active), 1e-4);
    adapter.merge();
    for (const auto& [name, value] : run(golden, *item, system)) {
      const double size = active.at(name).abs().max().item<double>();
      EXPECT_LT(testing::distance(active.at(name), value), 1e-4 * (1 + size)) << name;
    }
    adapter.detach();
    EXPECT_EQ(largest_distance(plain, run(golden, *item, system)), 0);
    ++families;
  }
  EXPECT_GE(families, 8);
}

}  // namespace
}  // namespace tessera::parity
