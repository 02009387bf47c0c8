#include "parity/classifier.h"

#include "core/taps.h"
#include "encoders/classifier.h"

namespace tessera::parity {

System classifier(const Golden& golden) { return classifier(golden, {}); }

System classifier(const Golden& golden, const std::map<std::string, std::string>& channels_last) {
  System system = assemble_golden(golden);
  auto model = std::dynamic_pointer_cast<ImageClassifier>(system.module);
  system.call = [model, channels_last](const Case& item, const Inputs& in) -> Outputs {
    if (item.call != "forward") throw Unsupported("there is no call '" + item.call + "'");
    std::vector<std::string> paths;
    for (const auto& [name, path] : channels_last) paths.push_back(path);
    Taps taps(*model, paths);
    Outputs out{{"logits", model->forward(in.at(in.contains("x") ? "x" : "pixel_values"))}};
    for (const auto& [name, path] : channels_last)
      if (item.outputs.contains(name)) out[name] = taps.at(path).permute({0, 2, 3, 1});
    return out;
  };
  return system;
}

namespace {

// The systems whose goldens call nothing else.
const AdapterRegistration tnt("tnt", [](const Golden& golden) { return classifier(golden); });

}  // namespace
}  // namespace tessera::parity
