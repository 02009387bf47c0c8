#include "parity/t5.h"

namespace tessera::parity {

Outputs call_t5(T5& model, const Golden& golden, const Case& item, const Inputs& in) {
  const Tokens source = model.encode({in.at("input_ids"), in.at("attention_mask"), {}});
  LanguageState state = model.start(source);
  if (item.call == "generate") {
    const Tensor first = torch::full({source.x.size(0), 1}, model.start_id(), torch::kInt64);
    const Tensor made = generate(model, {first, {}, {}}, state, generate_options(golden, item));
    return {{"sequences", torch::cat({first, made}, 1)}};
  }
  const bool loss = in.contains("labels");
  const Tensor ids =
      loss ? model.shifted(in.at("labels"), golden.config.value("pad_token_id", 0)) : in.at("decoder_input_ids");
  const Tensor logits = model.forward({ids, {}, {}}, &state);
  Outputs out{{"logits", logits}, {"encoder_last_hidden_state", source.x}};
  if (loss) out["loss"] = torch::cross_entropy_loss(logits.flatten(0, 1), in.at("labels").flatten());
  return out;
}

namespace {

System t5(const Golden& golden) {
  System system = assemble_golden(golden);
  auto model = std::dynamic_pointer_cast<T5>(system.module);
  system.call = [model, golden](const Case& item, const Inputs& in) { return call_t5(*model, golden, item, in); };
  return system;
}

const AdapterRegistration registration("t5", t5);

}  // namespace
}  // namespace tessera::parity
