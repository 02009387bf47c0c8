#include "parity/classifier.h"

#include "core/taps.h"
#include "encoders/classifier.h"

namespace tessera::parity {
namespace {

/// What was tapped, in the layout of a recorded tensor of four axes.
Tensor laid_out(const Tensor& tapped, Layout layout, at::IntArrayRef recorded) {
  if (tapped.dim() == 4) return layout == Layout::kChannelsLast ? tapped.permute({0, 2, 3, 1}) : tapped;
  return (layout == Layout::kChannelsLast ? tapped : tapped.transpose(1, 2)).reshape(recorded);
}

}  // namespace

System classifier(const Golden& golden, Layout layout) {
  System system = assemble_golden(golden);
  auto model = std::dynamic_pointer_cast<ImageClassifier>(system.module);
  system.call = [model, layout, names = system.names, tensors = golden.tensors](const Case& item,
                                                                                const Inputs& in) -> Outputs {
    if (item.call != "forward") throw Unsupported("there is no call '" + item.call + "'");
    std::map<std::string, std::string> paths;
    for (const std::string& name : item.internals)
      if (const auto path = names.module_path(name); path && layout != Layout::kAsTapped) paths[name] = *path;
    std::vector<std::string> wanted;
    for (const auto& [name, path] : paths) wanted.push_back(path);
    Taps taps(*model, wanted);
    Outputs out{{"logits", model->forward(in.at(in.contains("x") ? "x" : "pixel_values"))}};
    for (const auto& [name, path] : paths)
      if (const Tensor recorded = tensors->tensor(item.outputs.at(name)); recorded.dim() == 4)
        out[name] = laid_out(taps.at(path), layout, recorded.sizes());
    return out;
  };
  return system;
}

namespace {

// The systems whose goldens call nothing else.
const AdapterRegistration tnt("tnt", [](const Golden& golden) { return classifier(golden); });
const AdapterRegistration hornet("hornet", [](const Golden& golden) { return classifier(golden, Layout::kMaps); });

}  // namespace
}  // namespace tessera::parity
