#include "language/bert.h"
#include "parity/golden.h"

namespace tessera::parity {
namespace {

System bert(const Golden& golden) {
  System system = assemble_golden(golden);
  auto model = std::dynamic_pointer_cast<MaskedLanguageModel>(system.module);
  system.call = [model](const Case& item, const Inputs& in) -> Outputs {
    TextBatch text{in.at("input_ids"), in.at("attention_mask"), {}};
    if (in.contains("token_type_ids")) text.type_ids = in.at("token_type_ids");
    Outputs out{{"logits", model->forward(text)}};
    if (item.call == "loss") {
      const Tensor& logits = out["logits"];
      out["loss"] = torch::cross_entropy_loss(logits.flatten(0, 1), in.at("labels").flatten());
    }
    return out;
  };
  return system;
}

const AdapterRegistration registration("bert", bert);

}  // namespace
}  // namespace tessera::parity
