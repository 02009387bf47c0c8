#include "tasks/adapt.h"

#include "core/error.h"
#include "language/encoder_decoder.h"
#include "layers/device.h"
#include "layers/prepare.h"
#include "tasks/inputs.h"
#include "tune/adapter.h"
#include "tune/prompted.h"
#include "vlm/vision_language.h"

namespace tessera {
namespace {

void refuse_prepared(const Model& model) {
  if (is_prepared(*model.module))
    throw Error("is prepared, and packed weights take no adapter", model.folder.string(),
                "merge the adapter into the published model (`tessera tune --merge`) and prepare that, or name the "
                "published folder with --adapter and --precision");
}

bool adds_tokens(const std::filesystem::path& adapter) { return PeftFile(adapter).config().type.ends_with("_TUNING"); }

}  // namespace

const Json& language_config(const Model& model) {
  return model.config.contains("text_config") ? model.config.at("text_config") : model.config;
}

void adapt(Model& model, const std::filesystem::path& adapter) {
  refuse_prepared(model);
  if (!adds_tokens(adapter)) {
    Adapter::load(*model.module, model.names, adapter);
    model.module->eval();
    return;
  }
  const auto language = std::dynamic_pointer_cast<LanguageModel>(model.module);
  if (!language || dynamic_cast<EncoderDecoder*>(language.get()) || dynamic_cast<VisionLanguage*>(language.get()))
    model.refuse("read virtual tokens", "tune it with lora");
  model.module = std::make_shared<Prompted>(language, VirtualTokens::load(language, language_config(model), adapter));
  model.module->eval();
}

Model open_adapted_model(const std::filesystem::path& folder, const std::filesystem::path& adapter,
                         const std::string& precision, const std::string& device) {
  if (adapter.empty()) return open_model(folder, precision, device);
  const torch::Device there = device_named(device, "--device");  // before anything is loaded
  Model model = open_model(folder);
  adapt(model, adapter);
  model.module->to(there);
  if (!precision.empty()) prepare(*model.module, precision_of(precision, "--precision"));
  return model;
}

void adapt_by_merging(Model& model, const std::filesystem::path& adapter) {
  refuse_prepared(model);
  if (adds_tokens(adapter))
    throw Error("virtual tokens cannot be merged into parameters", adapter.string(), "use them with --adapter");
  Adapter::load(*model.module, model.names, adapter).merge_for_good();
}

}  // namespace tessera
