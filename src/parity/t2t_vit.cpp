#include "encoders/t2t_vit.h"
#include "layers/positions.h"
#include "parity/classifier.h"

namespace tessera::parity {
namespace {

System t2t_vit(const Golden& golden) {
  System system = classifier(golden);
  system.call = [forward = system.call](const Case& item, const Inputs& in) -> Outputs {
    const Json& a = item.attributes;
    if (item.call == "unfold")
      return {{"soft_split0", soft_split(in.at("x"), a.at("kernel"), a.at("stride"), a.at("padding"))}};
    if (item.call == "position_table")
      return {{"table", sine_positions(a.at("n_position"), a.at("d_hid")).unsqueeze(0)}};
    return forward(item, in);
  };
  return system;
}

const AdapterRegistration registration("t2t-vit", t2t_vit);

}  // namespace
}  // namespace tessera::parity
