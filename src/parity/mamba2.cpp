#include "layers/mamba2.h"

#include "parity/causal.h"

namespace tessera::parity {
namespace {

System mamba2(const Golden& golden) {
  System system = assemble_golden(golden);
  auto model = std::dynamic_pointer_cast<LanguageModel>(system.module);
  system.call = [model, golden](const Case& item, const Inputs& in) {
    LanguageState state = model->start();
    Outputs out = call_causal(*model, golden, item, in, state);
    if (item.call == "decode") {
      const auto& first = dynamic_cast<Mamba2State&>(*state.mixers.front());
      out["conv_state.layer0"] = first.convolution.inputs;
      out["ssm_state.layer0"] = first.state;
    }
    return out;
  };
  return system;
}

const AdapterRegistration registration("mamba2", mamba2);

}  // namespace
}  // namespace tessera::parity
