#include "vlm/published.h"

#include "encoders/clip_vision.h"
#include "layers/weights.h"

namespace tessera {

VisionTower read_vision_tower(PublishedConfig config, const std::string& otherwise) {
  static const std::map<std::string, ClipVision> kinds = {{"clip_vision_model", ClipVision::kClip},
                                                          {"siglip_vision_model", ClipVision::kSiglip},
                                                          {"idefics2_vision", ClipVision::kIdefics2},
                                                          {"idefics2", ClipVision::kIdefics2}};
  const std::string type = config.get<std::string>("model_type", otherwise);
  std::vector<std::string> known;
  for (const auto& [name, kind] : kinds) known.push_back(name);
  check_choice(type, known, config.where() + ": model_type");
  VisionTower tower{read_clip_vision(config, kinds.at(type)), clip_vision_names()};
  // A head that pools the patches stands in some files; what reads patches does not need it.
  tower.names = tower.names + NameTable{{"head.*", ""}};
  config.ignore({"vision_use_head", "vocab_size", "num_image_tokens", "num_positions", "projector_hidden_act"});
  config.done();
  return tower;
}

Assembly read_language_model(const PublishedConfig& config, const std::string& otherwise) {
  Json json = config.json();
  if (!config.has("model_type")) json["model_type"] = otherwise;
  Assembly language = assemble(json, config.where());
  if (!std::dynamic_pointer_cast<LanguageModel>(language.module))
    throw Error("'" + json["model_type"].get<std::string>() + "' is no language model", config.where());
  return language;
}

int64_t feature_layer(int64_t layer, int64_t depth, const std::string& where) {
  const int64_t blocks = layer < 0 ? depth + 1 + layer : layer;
  if (blocks < 0 || blocks > depth)
    throw Error("layer " + std::to_string(layer) + " of a tower with " + std::to_string(depth) + " layers", where,
                "0 is the embedding, -1 the last layer");
  return blocks;
}

NameTable top_head_names(const Module& language) {
  return named_tensors(language).contains("head.weight") ? NameTable{{"lm_head.weight", "language.head.weight"}}
                                                         : NameTable{{"lm_head.weight", "language.words.weight", true}};
}

NameTable vision_language_names(const VisionTower& tower, const std::string& prefix, const NameTable& projector,
                                const Assembly& language) {
  const NameTable main = tower.names.within("vision_tower." + prefix, "encoder.") +
                         tower.names.within("vision_tower.[vision_model.]", "encoder.").aliases() +
                         NameTable{{}, {{"vision_tower", "encoder.norm"}, {"multi_modal_projector", "bridge"}}} +
                         projector.within("multi_modal_projector.", "bridge.") +
                         language.names.within("language_model.", "language.");
  return main + (main.within("model.", "") + top_head_names(*language.module)).aliases();
}

int64_t read_placeholder(PublishedConfig& config, const std::string& keys, int64_t otherwise) {
  const int64_t id = config.get<int64_t>(keys, otherwise);
  if (id < 0) throw Error("a placeholder of " + std::to_string(id) + " is no token", config.where() + ": " + keys);
  return id;
}

}  // namespace tessera
