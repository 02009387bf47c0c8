#include "encoders/frozen_language.h"

#include "encoders/classifier.h"
#include "layers/weights.h"
#include "parity/golden.h"

namespace tessera::parity {
namespace {

/// Which published tensors learn: those of the ViT, of LLaMA, and the two maps, as the reference lists them.
Tensor trainable(const Golden& golden, const System& system) {
  const auto parameters = named_tensors(*system.module);
  const Checkpoint checkpoint = Checkpoint::open(golden.folder / "model.safetensors");
  std::array<std::vector<int64_t>, 3> groups;
  for (const auto& [name, info] : checkpoint.tensors()) {
    const size_t group = name.starts_with("llama.") ? 1 : name.starts_with("llama_") ? 2 : 0;
    groups[group].push_back(parameters.at(system.names.place(name)->path).requires_grad() ? 1 : 0);
  }
  for (size_t i = 1; i < 3; ++i) groups[0].insert(groups[0].end(), groups[i].begin(), groups[i].end());
  return torch::tensor(groups[0], torch::kInt64);
}

System frozen(const Golden& golden) {
  System system = assemble_golden(golden);
  auto model = std::dynamic_pointer_cast<ImageClassifier>(system.module);
  system.call = [model, golden, names = system.names, module = system.module](const Case& item,
                                                                              const Inputs& in) -> Outputs {
    Taps taps(*model, {"encoder.in", "encoder.read"});
    const Tensor logits = model->forward(in.at("x"));
    if (item.call == "loss")
      return {{"loss", torch::cross_entropy_loss(logits, in.at("labels")).unsqueeze(0)},
              {"trainable", trainable(golden, {.module = module, .names = names})}};
    if (item.call != "token_activation") return {{"logits", logits}};
    const auto patches = [](const Tensor& x) { return x.narrow(1, 1, x.size(1) - 1); };
    const TokenActivation after = token_activation(patches(taps.at("encoder.read")));
    return {{"magnitude_before", token_activation(patches(taps.at("encoder.in"))).magnitude},
            {"magnitude_after", after.magnitude},
            {"frequency_angle", after.frequency}};
  };
  return system;
}

const AdapterRegistration registration("frozen-llm-encoder", frozen);

}  // namespace
}  // namespace tessera::parity
