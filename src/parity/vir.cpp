#include "encoders/vir.h"
#include "encoders/classifier.h"
#include "layers/plain_retention.h"
#include "layers/retention.h"
#include "parity/golden.h"

namespace tessera::parity {
namespace {

/// What the reference calls parallel is the form with a softmax.
std::string form_of(const std::string& mode) { return mode == "parallel" ? "softmax" : mode; }

Outputs forward(ImageClassifier& model, const Json& attributes, const Tensor& pixels) {
  dynamic_cast<Vir&>(model.encoder())
      .set_form(form_of(attributes.at("mode")), attributes.value("chunk_size", int64_t{0}));
  // Its other modes give the tokens of the encoder and leave the head to the caller.
  return {{"tokens", model.encoder().forward(pixels).x}, {"logits", model.forward(pixels)}};
}

Outputs layer(PlainRetention& retention, const Tensor& x, int64_t chunk) {
  Tokens tokens;
  tokens.x = x;
  Outputs out;
  const auto run = [&](const std::string& form, const std::string& name, const std::string& state_name) {
    retention.set_form(form, chunk);
    const auto state = std::dynamic_pointer_cast<PlainRetentionState>(retention.start());
    out[name] = state ? retention.step(tokens, *state) : retention.forward(tokens);
    if (state) out[state_name] = state->state.transpose(-2, -1);  // keys x values there
  };
  run("parallel", "linear_parallel", "state");
  run("recurrent", "recurrent", "recurrent_state");
  run("chunkwise", "chunkwise", "chunkwise_state");
  run("softmax", "softmax_parallel", "");
  return out;
}

System vir(const Golden& golden) {
  System system = assemble_golden(golden);
  auto model = std::dynamic_pointer_cast<ImageClassifier>(system.module);
  system.call = [model](const Case& item, const Inputs& in) -> Outputs {
    const Json& a = item.attributes;
    if (item.call == "forward") return forward(*model, a, in.at("x"));
    const std::string path = "encoder.blocks." + std::to_string(a.value("block", 0)) + ".attention";
    auto& retention = dynamic_cast<PlainRetention&>(*model->named_modules()[path]);
    if (item.call == "decay_mask")
      return {{"mask", causal_decay(retention.decay(), a.at("length"))}, {"gamma", retention.decay()}};
    if (item.call == "retention") return layer(retention, in.at("x"), a.at("chunk_size"));
    throw Unsupported("there is no call '" + item.call + "'");
  };
  return system;
}

const AdapterRegistration registration("vir", vir);

}  // namespace
}  // namespace tessera::parity
