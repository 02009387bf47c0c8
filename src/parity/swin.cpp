#include "layers/window_attention.h"
#include "parity/classifier.h"

namespace tessera::parity {
namespace {

Outputs window_partition(const Tensor& x, int64_t side) {
  const Tensor windows = in_windows(x.permute({0, 3, 1, 2}), side);
  return {{"windows", windows.unflatten(1, {side, side})},
          {"merged", from_windows(windows, side, x.size(1), x.size(2))}};
}

System swin(const Golden& golden) {
  System system = classifier(golden);
  system.call = [forward = system.call](const Case& item, const Inputs& in) -> Outputs {
    if (item.call == "window_partition") return window_partition(in.at("x"), item.attributes.at("window_size"));
    return forward(item, in);
  };
  return system;
}

const AdapterRegistration registration("swin", swin);

}  // namespace
}  // namespace tessera::parity
