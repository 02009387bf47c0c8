#include "layers/polycom.h"

#include "layers/weights.h"
#include "parity/causal.h"

namespace tessera::parity {
namespace {

System activation(const Golden& golden) {
  auto polynomial = std::make_shared<PolynomialActivation>(golden.config.at("activation") == "PolyNorm");
  System system{.module = polynomial, .names = NameTable{{"*", "*"}}};
  load_weights(*polynomial, Checkpoint::open(golden.folder / "model.safetensors"), system.names);
  system.call = [polynomial, golden](const Case&, const Inputs& in) -> Outputs {
    if (!golden.config.value("moe_block", false)) return {{"y", polynomial->forward(in.at("x"))}};
    return {{"y", polynomial->of_blocks(in.at("x"), golden.config.at("mlp_hidden_size"))}};
  };
  return system;
}

System polycom(const Golden& golden) {
  if (golden.kind == "method") return activation(golden);
  System system = assemble_golden(golden);
  auto model = std::dynamic_pointer_cast<LanguageModel>(system.module);
  system.call = [model, golden](const Case& item, Inputs in) {
    in["labels"] = in.at("input_ids");
    LanguageState state = model->start();
    return call_causal(*model, golden, item, in, state);
  };
  return system;
}

const AdapterRegistration registration("polycom", polycom);

}  // namespace
}  // namespace tessera::parity
