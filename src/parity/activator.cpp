#include "encoders/classifier.h"
#include "layers/mixer.h"
#include "parity/golden.h"

namespace tessera::parity {
namespace {

/// The picture with its patches in the opposite order, each as it is.
Tensor reversed_patches(const Tensor& x, int64_t patch) {
  const int64_t rows = x.size(2) / patch, columns = x.size(3) / patch;
  return x.view({x.size(0), x.size(1), rows, patch, columns, patch}).flip({2, 4}).reshape(x.sizes());
}

System activator(const Golden& golden) {
  Golden published = golden;
  if (golden.arch.find("only GEGLU") != std::string::npos) published.config["feed_forward"] = false;
  System system = assemble_golden(published);
  auto model = std::dynamic_pointer_cast<ImageClassifier>(system.module);
  system.call = [model](const Case& item, const Inputs& in) -> Outputs {
    if (item.call == "gating_unit") {
      const std::string path = "encoder.blocks." + std::to_string(item.attributes.at("block").get<int64_t>());
      const auto modules = model->named_modules();
      Tokens tokens;
      tokens.x = in.at("x");
      return {{"out", dynamic_cast<Mixer&>(*modules[path + ".attention"]).forward(tokens)}};
    }
    Outputs out;
    if (item.outputs.contains("logits_permuted"))
      out["logits_permuted"] = model->forward(reversed_patches(in.at("x"), item.attributes.at("patch")));
    out["logits"] = model->forward(in.at("x"));
    return out;
  };
  return system;
}

const AdapterRegistration registration("activator", activator);

}  // namespace
}  // namespace tessera::parity
