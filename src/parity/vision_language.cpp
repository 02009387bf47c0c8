#include "core/taps.h"
#include "parity/causal.h"

namespace tessera::parity {
namespace {

/// Results of modules, which these goldens list among the outputs, by the taps that stand for them.
std::map<std::string, std::string> tapped(const System& system, const Case& item) {
  std::map<std::string, std::string> paths;
  for (const auto& [name, key] : item.outputs)
    if (const auto path = system.names.module_path(name); path && !item.internals.contains(name)) paths[name] = *path;
  return paths;
}

Outputs run(VisionLanguage& model, const Golden& golden, const Case& item, const Inputs& in) {
  const MultimodalBatch batch = multimodal_batch(in);
  Outputs out;
  if (item.call == "encode_image") {
    const auto pictures = model.picture_tokens(batch);
    for (size_t i = 0; i < pictures.size(); ++i) out["image_features." + std::to_string(i)] = pictures[i];
    return out;
  }
  if (item.call == "generate") {
    const Tensor made = generate(model, batch, generate_options(golden, item));
    return {{"sequences",
             item.attributes.value("includes_prompt", true) ? torch::cat({batch.text.ids.cpu(), made}, 1) : made}};
  }
  MultimodalPrompt prompt = model.begin(batch);
  // The reference counts padding among the positions. Real tokens keep their distances, but what padding itself
  // computes is recorded as well.
  prompt.tokens.at = torch::arange(prompt.tokens.x.size(1), batch.text.ids.options()).view({1, -1, 1});
  out["logits"] = model.logits(model.hidden(prompt.tokens, &prompt.state).x);
  if (in.contains("labels")) out["loss"] = next_token_loss(out["logits"], in.at("labels"));
  return out;
}

System vision_language(const Golden& golden) {
  if (golden.kind != "model" || !golden.config.contains("vision_config"))
    throw Unsupported("'" + golden.variant + "' is not part of a vision-language model");
  System system = assemble_golden(golden);
  auto model = std::dynamic_pointer_cast<VisionLanguage>(system.module);
  if (!model) throw Unsupported("'" + golden.arch + "' is no vision-language model");
  system.call = [model, golden, names = system](const Case& item, const Inputs& in) {
    const auto paths = tapped(names, item);
    std::vector<std::string> wanted;
    for (const auto& [name, path] : paths) wanted.push_back(path);
    const Taps taps(*model, wanted);
    Outputs out = run(*model, golden, item, in);
    for (const auto& [name, path] : paths) out.try_emplace(name, taps.at(path));
    return out;
  };
  return system;
}

const AdapterRegistration llava("llava", vision_language), paligemma("paligemma", vision_language),
    cephalo("cephalo", vision_language);

}  // namespace
}  // namespace tessera::parity
