#include "parity/causal.h"

namespace tessera::parity {

Tensor input_or_none(const Inputs& in, const std::string& name) { return in.contains(name) ? in.at(name) : Tensor(); }

MultimodalBatch multimodal_batch(const Inputs& in) {
  MultimodalBatch batch;
  batch.pictures.pixel_values = input_or_none(in, "pixel_values");
  batch.pictures.pixel_mask = input_or_none(in, "pixel_attention_mask");
  batch.pictures.image_sizes = input_or_none(in, "image_sizes");
  batch.text = {input_or_none(in, "input_ids"), input_or_none(in, "attention_mask"),
                input_or_none(in, "token_type_ids")};
  batch.instruction = {input_or_none(in, "qformer_input_ids"), input_or_none(in, "qformer_attention_mask"), {}};
  return batch;
}

GenerateOptions generate_options(const Golden& golden, const Case& item) {
  const auto number = [&](const char* name) {
    const Json& source = item.attributes.contains(name) ? item.attributes : golden.config;
    return source.contains(name) && source[name].is_number() ? source[name].get<int64_t>() : -1;
  };
  GenerateOptions options{.max_new_tokens = number("max_new_tokens")};
  if (const int64_t end = number("eos_token_id"); end >= 0) options.end_ids = {end};
  options.padding_id = std::max<int64_t>(number("pad_token_id"), 0);
  return options;
}

Outputs call_causal(LanguageModel& model, const Golden& golden, const Case& item, const Inputs& in,
                    LanguageState& state) {
  const Tensor ids = in.at("input_ids"), mask = input_or_none(in, "attention_mask");
  if (item.call == "generate") {
    const Tensor made = generate(model, {ids, mask, {}}, generate_options(golden, item)).to(ids.device());
    return {{"sequences", item.attributes.value("includes_prompt", true) ? torch::cat({ids, made}, 1) : made}};
  }
  Tensor logits;
  if (item.attributes.contains("prefill")) {
    const int64_t prefill = item.attributes["prefill"];
    std::vector<Tensor> pieces = {model.forward({ids.narrow(1, 0, prefill), {}, {}}, &state)};
    for (int64_t i = prefill; i < ids.size(1); ++i)
      pieces.push_back(model.forward({ids.narrow(1, i, 1), {}, {}}, &state));
    logits = torch::cat(pieces, 1);
  } else {
    Tokens tokens;
    tokens.x = model.embed(ids);
    tokens.mask = mask;
    if (in.contains("position_ids")) tokens.at = in.at("position_ids").unsqueeze(-1);
    logits = model.logits(model.hidden(tokens, nullptr).x);
  }
  Outputs out{{"logits", logits}};
  if (in.contains("labels")) out["loss"] = next_token_loss(logits, in.at("labels"));
  return out;
}

namespace {

System causal(const Golden& golden) {
  if (golden.kind != "model") throw Unsupported("methods of this system are not part of its language model");
  if (golden.config.contains("vision_config")) throw Unsupported("'" + golden.arch + "' sees, and is not built yet");
  System system = assemble_golden(golden);
  auto model = std::dynamic_pointer_cast<LanguageModel>(system.module);
  if (!model) throw Unsupported("'" + golden.arch + "' is no language model");
  system.call = [model, golden](const Case& item, const Inputs& in) {
    LanguageState state = model->start();
    return call_causal(*model, golden, item, in, state);
  };
  return system;
}

const AdapterRegistration gpt2("gpt2", causal), opt("opt", causal), llama("llama", causal), phi3("phi3", causal),
    yi("yi", causal);

}  // namespace
}  // namespace tessera::parity
