// BLIP-2, InstructBLIP and Florence-2: a picture and a text each, and a language model with or without an encoder.
#include "language/encoder_decoder.h"
#include "parity/causal.h"

namespace tessera::parity {
namespace {

/// A key of the model's or of its text model's config.
int64_t text_id(const Golden& golden, const char* key, int64_t otherwise) {
  return golden.config.value("text_config", Json::object()).value(key, golden.config.value(key, otherwise));
}

Outputs decode_labels(VisionLanguage& model, const EncoderDecoder& language, const Golden& golden, const Inputs& in) {
  MultimodalPrompt prompt = model.begin(multimodal_batch(in));
  const Tensor labels = input_or_none(in, "labels");
  const Tensor ids =
      labels.defined() ? language.shifted(labels, text_id(golden, "pad_token_id", 0)) : in.at("decoder_input_ids");
  const Tensor logits = model.forward({ids, {}, {}}, &prompt.state);
  Outputs out{{"logits", logits}};
  // transformers' loss of Florence-2 moves the labels once more, as if the model had no decoder of its own: what it
  // records asks each place for the label after its own. Training should not.
  if (labels.defined())
    out["loss"] = golden.system == "florence2" ? next_token_loss(logits, labels)
                                               : torch::cross_entropy_loss(logits.flatten(0, 1), labels.flatten());
  return out;
}

Tensor generated(VisionLanguage& model, const Golden& golden, const Case& item, const Inputs& in) {
  const MultimodalBatch batch = multimodal_batch(in);
  GenerateOptions options = generate_options(golden, item);
  options.forced_eos_token_id = text_id(golden, "forced_eos_token_id", -1);
  const Tensor made = generate(model, batch, options);
  const auto* reader = dynamic_cast<EncoderDecoder*>(&model.language());
  const Tensor begin =
      reader ? torch::full({made.size(0), 1}, reader->start_id(), torch::kInt64) : batch.text.ids.cpu();
  return reader || item.attributes.value("includes_prompt", true) ? torch::cat({begin, made}, 1) : made;
}

System vision_language(const Golden& golden) {
  System system = assemble_golden(golden);
  auto model = std::dynamic_pointer_cast<VisionLanguage>(system.module);
  system.call = [model, golden](const Case& item, const Inputs& in) -> Outputs {
    if (item.call == "generate") return {{"sequences", generated(*model, golden, item, in)}};
    if (const auto* reader = dynamic_cast<EncoderDecoder*>(&model->language()))
      return decode_labels(*model, *reader, golden, in);
    const Tensor logits = model->forward(multimodal_batch(in));
    Outputs out{{"logits", logits}};
    if (in.contains("labels")) out["loss"] = next_token_loss(logits, in.at("labels"));
    return out;
  };
  return system;
}

const AdapterRegistration blip2("blip2", vision_language), florence2("florence2", vision_language);

}  // namespace
}  // namespace tessera::parity
