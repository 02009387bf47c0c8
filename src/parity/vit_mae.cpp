#include "encoders/vit_mae.h"
#include "layers/positions.h"
#include "parity/golden.h"

namespace tessera::parity {
namespace {

System vit_mae(const Golden& golden) {
  System system = assemble_golden(golden);
  auto model = std::dynamic_pointer_cast<VitMae>(system.module);
  system.call = [model](const Case& item, const Inputs& in) -> Outputs {
    if (item.call == "patchify") {
      const Tensor patches = model->patchify(in.at("pixel_values"));
      return {{"patches", patches}, {"image", model->unpatchify(patches)}};
    }
    if (item.call == "position_table") {
      const Json& a = item.attributes;
      const Tensor table = sine_cosine_positions(a.at("height"), a.at("width"), a.at("embed_dim"));
      return {
          {"table", torch::cat({torch::zeros({1, table.size(1)}), table}).unsqueeze(0)}};  // row 0 is the class token's
    }
    const VitMae::Output out = model->forward(in.at("pixel_values"), in.at("noise"));
    return {{"loss", out.loss}, {"logits", out.pixels}, {"mask", out.mask}, {"ids_restore", out.restore}};
  };
  return system;
}

const AdapterRegistration registration("vit-mae", vit_mae);

}  // namespace
}  // namespace tessera::parity
