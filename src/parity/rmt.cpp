#include "encoders/classifier.h"
#include "layers/manhattan_attention.h"
#include "parity/classifier.h"

namespace tessera::parity {
namespace {

Outputs relative_position(const Module& model, const Json& a) {
  const std::string path = "encoder.stages." + std::to_string(a.at("layer").get<int64_t>()) + ".decay";
  const auto decay = std::dynamic_pointer_cast<ManhattanDecay>(model.named_modules()[path]);
  const int64_t height = a.at("height"), width = a.at("width");
  const Rotation rotation = decay->rotation({height, width});
  const auto twice = [&](const Tensor& x) { return x.repeat_interleave(2, -1).view({height, width, -1}); };
  Outputs out = {{"sin", twice(rotation.sine)}, {"cos", twice(rotation.cosine)}};
  if (a.at("decomposed").get<bool>())
    out["mask_h"] = decay->bias(height).squeeze(0), out["mask_w"] = decay->bias(width).squeeze(0);
  else
    out["mask"] = decay->bias(Grid{height, width}).squeeze(0);
  return out;
}

System rmt(const Golden& golden) {
  System system = classifier(golden, Layout::kChannelsLast);
  system.call = [forward = system.call, model = system.module](const Case& item, const Inputs& in) -> Outputs {
    if (item.call == "relative_position") return relative_position(*model, item.attributes);
    return forward(item, in);
  };
  return system;
}

const AdapterRegistration registration("rmt", rmt);

}  // namespace
}  // namespace tessera::parity
