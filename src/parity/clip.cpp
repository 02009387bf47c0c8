#include "parity/clip.h"

#include "fusion/dual_encoder.h"

namespace tessera::parity {

Tensor contrastive(const Tensor& logits) {
  const Tensor diagonal = torch::arange(logits.size(0), logits.options().dtype(torch::kInt64));
  return (torch::cross_entropy_loss(logits, diagonal) + torch::cross_entropy_loss(logits.t(), diagonal)) / 2;
}

namespace {

TextBatch text_of(const Inputs& in, const char* ids) {
  return {in.at(ids), in.contains("attention_mask") ? in.at("attention_mask") : Tensor(), {}};
}

/// SigLIP: every pair by itself.
Tensor pairwise(const Tensor& logits) {
  const Tensor sign = 2 * torch::eye(logits.size(0)) - 1;
  return -torch::log_sigmoid(sign * logits).sum(-1).mean();
}

Outputs forward(DualEncoder& model, const Case& item, const Inputs& in, bool open_clip) {
  const Tensor image = model.encode_image(in.at(open_clip ? "image" : "pixel_values"));
  const Tensor text = model.encode_text(text_of(in, open_clip ? "text" : "input_ids"));
  const Tensor logits = model.logits(image, text);  // images x texts
  const auto want = [&](const char* name) { return item.outputs.contains(name); };
  Outputs out{{open_clip ? "image_features" : "image_embeds", unit(image)},
              {open_clip ? "text_features" : "text_embeds", unit(text)},
              {"logits_per_image", logits},
              {"logits_per_text", logits.t()},
              {"logit_scale", model.logit_scale.exp()}};
  if (want("loss")) out["loss"] = model.logit_bias.defined() ? pairwise(logits.t()) : contrastive(logits.t());
  if (want("probs")) out["probs"] = torch::softmax(logits, -1);
  if (want("prediction")) out["prediction"] = logits.argmax(-1);
  return out;
}

System clip(const Golden& golden) {
  const bool open_clip = golden.config.contains("vision_cfg");
  System system = assemble_golden(golden, open_clip ? "" : golden.arch == "SiglipModel" ? "siglip" : "clip");
  auto model = std::dynamic_pointer_cast<DualEncoder>(system.module);
  system.call = [model, open_clip](const Case& item, const Inputs& in) -> Outputs {
    if (item.call == "encode_image") return {{"image_features", model->encode_image(in.at("pixel_values"))}};
    if (item.call == "encode_text") return {{"text_features", model->encode_text(text_of(in, "input_ids"))}};
    return forward(*model, item, in, open_clip);
  };
  return system;
}

const AdapterRegistration registration("clip", clip);

}  // namespace
}  // namespace tessera::parity
