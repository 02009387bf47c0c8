#include <unistd.h>

#include "core/files.h"
#include "language/bert_classifier.h"
#include "layers/family.h"
#include "layers/weights.h"
#include "parity/t5.h"
#include "tune/adapter.h"
#include "tune/virtual_tokens.h"

namespace tessera::parity {
namespace {

namespace fs = std::filesystem;

/// The goldens hold the names that PEFT has in memory; they are written as the two files that are published, so that
/// what is checked reads files as users have them.
class PublishedFiles {
 public:
  explicit PublishedFiles(const Golden& golden) {
    std::string name = (fs::temp_directory_path() / "tessera-parity-XXXXXX").string();
    if (!::mkdtemp(name.data())) throw std::runtime_error("no temporary folder");
    folder_ = name;
    const Checkpoint all = Checkpoint::open(golden.folder / "model.safetensors");
    PeftTensors base, added;
    for (const auto& [known, info] : all.tensors()) {
      const bool of_adapter = is_added(known);
      (of_adapter ? added : base)
          .emplace_back(of_adapter ? saved_name(known) : base_name(golden, known), all.tensor(known));
      // With "lora_only" the biases beside a branch are learned, too.
      if (known.ends_with(".base_layer.bias")) added.emplace_back(known, all.tensor(known));
    }
    save_checkpoint(base_file(), base);
    save_checkpoint(folder_ / "adapter_model.safetensors", added);
    write_file(folder_ / "adapter_config.json", peft_config(golden).dump());
  }
  ~PublishedFiles() { fs::remove_all(folder_); }
  PublishedFiles(const PublishedFiles&) = delete;
  PublishedFiles& operator=(const PublishedFiles&) = delete;

  fs::path base_file() const { return folder_ / "base.safetensors"; }
  const fs::path& folder() const { return folder_; }

  static bool is_added(const std::string& name) {
    for (const char* mark : {".lora_", ".ia3_l", ".adapter.", "prompt_encoder."})
      if (name.find(mark) != std::string::npos) return true;
    return false;
  }

  /// The name of a tensor in the base model's own file.
  static std::string base_name(const Golden& golden, std::string name) {
    const Json peft = golden.config.value("peft", Json::object());
    const std::string prefix = peft.empty()                          ? "bert."
                               : peft.contains("num_virtual_tokens") ? "base_model."
                                                                     : "base_model.model.";
    if (name.starts_with(prefix)) name = name.substr(prefix.size());
    const size_t wrapped = name.find(".base_layer.");
    return wrapped == std::string::npos ? name : name.replace(wrapped, 12, ".");
  }

  /// The name of an adapter's tensor in adapter_model.safetensors.
  static std::string saved_name(std::string name) {
    if (name == "prompt_encoder.default.embedding.weight") return "prompt_embeddings";
    if (const size_t at = name.find(".default"); at != std::string::npos) name.erase(at, 8);
    // The bottleneck adapters of the golden stand beside the layer that they follow.
    if (const size_t at = name.find(".adapter."); at != std::string::npos)
      name = "base_model.model." + name.substr(5, at - 5) + ".dense" + name.substr(at);
    return name;
  }

 private:
  static Json peft_config(const Golden& golden) {
    if (golden.config.contains("peft")) return golden.config["peft"];
    return {{"peft_type", "BOTTLENECK"},
            {"bottleneck_size", golden.config.at("bottleneck")},
            {"target_modules", ".*output\\.dense"}};
  }

  fs::path folder_;
};

/// A rule for one published tensor. That it is part k of several is said by a choice whose word k is its name.
NameTable rule(const std::string& name, const Place& place) {
  std::string published, path = place.path;
  for (int64_t part = 0; part < place.parts; ++part) {
    published += (part ? "|" : "{") + (part == place.part ? name : "-");
    const std::string share = place.shares.empty() ? "" : ":" + std::to_string(place.shares[static_cast<size_t>(part)]);
    path += (part ? "|" : "[{") + std::to_string(part) + share;
  }
  if (place.parts == 1) return {{name.c_str(), (place.path + (place.transposed ? "^T" : "")).c_str()}};
  return {{(published + "}").c_str(), (path + "}]" + (place.transposed ? "^T" : "")).c_str()}};
}

/// The names of the golden: of the base model, and of what was added.
NameTable golden_names(const Golden& golden, const NameTable& base, Module& module, const PeftTensors& added) {
  NameTable names;
  const auto paths = named_tensors(module);
  const Checkpoint recorded = Checkpoint::open(golden.folder / "model.safetensors");
  for (const auto& [name, info] : recorded.tensors()) {
    const std::string saved = PublishedFiles::saved_name(name);
    for (const auto& [known, tensor] : added)
      if (known == saved)
        for (const auto& [path, parameter] : paths)
          if (parameter.is_same(tensor)) names = names + rule(name, Place{path});
    if (const auto place = base.place(PublishedFiles::base_name(golden, name))) names = names + rule(name, *place);
  }
  return names;
}

/// The recorded texts are padded on the right, and the logits of the padding are recorded, too. transformers counts
/// positions from `first` on without regard of the padding; OPT gives padding the position before the first.
Tensor positions(const Json& config, const Tensor& mask, int64_t first) {
  if (config.value("model_type", "") == "opt") return (mask.cumsum(1) + first) * mask - 1;
  return torch::arange(first, first + mask.size(1), mask.options().dtype(torch::kInt64)).unsqueeze(0).expand_as(mask);
}

/// @param base  the golden with the base model's config
Outputs call_model(Module& module, const Golden& golden, const Golden& base, const Case& item, Inputs in) {
  if (auto* t5 = dynamic_cast<T5*>(&module)) return call_t5(*t5, base, item, in);
  if (auto* classifier = dynamic_cast<BertClassifier*>(&module)) {
    const Tensor logits = classifier->forward({in.at("input_ids"), in.at("attention_mask"), {}});
    return {{"logits", logits}, {"loss", torch::cross_entropy_loss(logits, in.at("labels"))}};
  }
  auto& model = dynamic_cast<LanguageModel&>(module);
  in["position_ids"] = positions(base.config, in.at("attention_mask"), 0);
  LanguageState state = model.start();
  return call_causal(model, golden, item, in, state);
}

System adapted(const Golden& golden) {
  const PublishedFiles files(golden);
  Golden base = golden;
  base.config = golden.config.at("base_model");
  if (base.config.value("model_type", "") == "bert") base.config["architectures"] = {"BertForSequenceClassification"};
  const Assembly assembly = assemble(base.config, (golden.folder / "golden.json").string());
  load_weights(*assembly.module, Checkpoint::open(files.base_file()), assembly.names);
  System system{.module = assembly.module};

  if (auto model = std::dynamic_pointer_cast<LanguageModel>(assembly.module);
      golden.config.contains("peft") && model && golden.config["peft"].value("num_virtual_tokens", 0) > 0) {
    const auto tokens = std::make_shared<VirtualTokens>(VirtualTokens::load(model, base.config, files.folder()));
    system.names = golden_names(golden, assembly.names, *model, {{"prompt_embeddings", tokens->vectors()}});
    system.call = [tokens, config = base.config](const Case&, const Inputs& in) -> Outputs {
      const Tensor ids = in.at("input_ids"), mask = in.at("attention_mask");
      const int64_t added = tokens->vectors().size(0);
      Tensor at = positions(config, mask, added);
      if (tokens->labels(ids).size(1) > ids.size(1))
        at = torch::cat({torch::arange(added, at.options()).expand({ids.size(0), added}), at}, 1);
      const Tensor logits = tokens->forward({ids, mask, {}}, at);
      return {{"logits", logits}, {"loss", next_token_loss(logits, tokens->labels(in.at("labels")))}};
    };
    return system;
  }

  const auto adapter =
      std::make_shared<tessera::Adapter>(tessera::Adapter::load(*assembly.module, assembly.names, files.folder()));
  system.names = golden_names(golden, assembly.names, *assembly.module, adapter->tensors());
  system.call = [adapter, golden, base, assembly](const Case& item, const Inputs& in) -> Outputs {
    const std::string state = item.attributes.value("adapter", "active");
    if (state == "merged") adapter->merge();
    if (state == "disabled") adapter->activate(false);
    if (item.call != "merge") return call_model(*assembly.module, golden, base, item, in);
    const auto place = assembly.names.place(item.attributes.at("parameter").get<std::string>());
    return {{"merged_weight", published_part(named_tensors(*assembly.module).at(place->path), *place)}};
  };
  return system;
}

}  // namespace

System loralib_layers(const Golden& golden);

namespace {

System lora(const Golden& golden) {
  return golden.config.contains("base_model") ? adapted(golden) : loralib_layers(golden);
}

const AdapterRegistration registration("lora", lora);

}  // namespace
}  // namespace tessera::parity
