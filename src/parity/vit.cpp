#include "encoders/classifier.h"
#include "parity/golden.h"

namespace tessera::parity {
namespace {

System vit(const Golden& golden) {
  System system = assemble_golden(golden);
  auto model = std::dynamic_pointer_cast<ImageClassifier>(system.module);
  const bool distilled = golden.arch.find("WithTeacher") != std::string::npos;
  system.call = [model, distilled](const Case& item, const Inputs& in) -> Outputs {
    Taps heads(*model, {"head", "distillation_head"});
    Outputs out{{"logits", model->forward(in.contains("x") ? in.at("x") : in.at("pixel_values"))}};
    if (distilled) out["cls_logits"] = heads.at("head"), out["distillation_logits"] = heads.at("distillation_head");
    if (item.call == "loss") out["loss"] = torch::cross_entropy_loss(out["logits"], in.at("labels"));
    return out;
  };
  return system;
}

const AdapterRegistration registration("vit", vit);

}  // namespace
}  // namespace tessera::parity
