#include "fusion/dual_encoder.h"
#include "parity/classifier.h"
#include "parity/clip.h"

namespace tessera::parity {
namespace {

Tensor image_features(DualEncoder& model, const Case& item, const Inputs& in) {
  const Tensor features = model.encode_image(in.at("image"));
  return item.attributes.value("normalize", false) ? unit(features) : features;
}

Tensor text_features(DualEncoder& model, const Case& item, const Inputs& in) {
  const Tensor features = model.encode_text({in.at("text"), {}, {}});
  return item.attributes.value("normalize", false) ? unit(features) : features;
}

System vitamin(const Golden& golden) {
  if (!golden.config.contains("vision_cfg")) return classifier(golden);
  System system = assemble_golden(golden);
  auto model = std::dynamic_pointer_cast<DualEncoder>(system.module);
  system.call = [model](const Case& item, const Inputs& in) -> Outputs {
    if (item.call == "encode_image") return {{"image_features", image_features(*model, item, in)}};
    if (item.call == "encode_text") return {{"text_features", text_features(*model, item, in)}};
    const Tensor logits = model->logits(image_features(*model, item, in), text_features(*model, item, in));
    if (item.call == "loss") return {{"loss", contrastive(logits)}};
    return {{"logits_per_image", logits}, {"logits_per_text", logits.t()}};
  };
  return system;
}

const AdapterRegistration registration("vitamin", vitamin);

}  // namespace
}  // namespace tessera::parity
