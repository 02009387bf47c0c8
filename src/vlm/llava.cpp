// "Visual Instruction Tuning" (Liu et al., 2023) and "Improved Baselines with Visual Instruction Tuning" (LLaVA-1.5),
// as transformers publishes them.
#include "vlm/llava.h"

#include "bridges/projection.h"

namespace tessera {
namespace {

std::vector<int64_t> read_feature_layers(PublishedConfig& config, int64_t depth) {
  const std::string key = "vision_feature_layer";
  const bool several = config.has(key) && config.json().at(key).is_array();
  const auto layers =
      several ? config.get<std::vector<int64_t>>(key, {}) : std::vector<int64_t>{config.get<int64_t>(key, -2)};
  if (layers.empty()) throw Error("expected a layer, or a list of some", config.where() + ": " + key);
  std::vector<int64_t> result;
  for (const int64_t layer : layers) result.push_back(feature_layer(layer, depth, config.where() + ": " + key));
  return result;
}

}  // namespace

std::string Llava::question_prompt(const std::string& question, int64_t pictures) const {
  return "USER: " + places(pictures) + "\n" + question + " ASSISTANT:";
}

LlavaParts read_llava(PublishedConfig& config) {
  LlavaParts llava;
  llava.tower = read_vision_tower(config.nested("vision_config"), "clip_vision_model");
  VitOptions& vit = llava.tower.options;
  vit.features = read_feature_layers(config, vit.depth);
  const auto encoder = std::make_shared<Vit>(vit);
  const Assembly language = read_language_model(config.nested("text_config"), "llama");
  const auto model = std::dynamic_pointer_cast<LanguageModel>(language.module);
  const MlpBridgeOptions bridge{.dim = encoder->width(),
                                .width = model->width(),
                                .activation = config.get<std::string>("projector_hidden_act", "gelu"),
                                .bias = config.get<bool>("multimodal_projector_bias", true)};
  llava.parts = {encoder, std::make_shared<MlpBridge>(bridge), model};

  const std::string strategy = config.get<std::string>("vision_feature_select_strategy", "default");
  check_choice(strategy, {"default", "full"}, config.where() + ": vision_feature_select_strategy");
  // "default" leaves out the first token, which in a tower without a class token would be a patch.
  if (strategy == "default" && !vit.class_token)
    throw Error("'default' leaves out the class token, and the tower has none",
                config.where() + ": vision_feature_select_strategy", "such a tower is used with 'full'");
  llava.options.features = strategy == "full" ? "all" : "patches";
  llava.options.placeholder_id = read_placeholder(config, "image_token_index|image_token_id", 32000);
  const NameTable projector = {{{"linear_1.*", "mlp.up.*"}, {"linear_2.*", "mlp.down.*"}}};
  llava.names = vision_language_names(llava.tower, "vision_model.", projector, language);
  config.ignore({"image_seq_length", "ignore_index", "pad_token_id", "vocab_size", "hidden_size"});
  return llava;
}

namespace {

Assembly assemble_llava(const Json& json, const std::string& where) {
  PublishedConfig config(json, where);
  const LlavaParts llava = read_llava(config);
  config.done();
  return {std::make_shared<Llava>(llava.parts, llava.options), llava.names};
}

const FamilyRegistration family({"llava", "LLaVA and LLaVA-1.5 (transformers)",
                                 [](const Json& config) { return is_model_type(config, {"llava"}); }, assemble_llava});

}  // namespace
}  // namespace tessera
