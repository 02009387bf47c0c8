#include "encoders/published.h"

#include <algorithm>

namespace tessera {

std::shared_ptr<ImageClassifier> labelled_classifier(const Json& encoder, const Json& pool, const Json& config) {
  const auto labels = read_labels(config);
  auto module = std::make_shared<ImageClassifier>(ImageClassifierOptions{
      .encoder = encoder, .pool = pool, .classes = labels.empty() ? 2 : static_cast<int64_t>(labels.size())});
  module->labels = labels;
  return module;
}

int64_t square_side(PublishedConfig& config, const std::string& key, int64_t otherwise) {
  const auto pair = config.pair(key, otherwise);
  if (pair[0] != pair[1]) throw Error("only squares are supported", config.where() + ": " + key);
  return pair[0];
}

NameTable timm_block_names() {
  return {{
              {"norm{m}.*", "norm{m}.*"},
              {"attn.qkv.*", "attention.qkv.*"},
              {"attn.proj.*", "attention.proj.*"},
              {"mlp.fc1.*", "ffn.up.*"},
              {"mlp.fc2.*", "ffn.down.*"},
          },
          {{"attn", "attention"}, {"mlp", "ffn"}}};
}

bool is_timm(const Json& config, std::initializer_list<const char*> beginnings) {
  if (!config.contains("architecture") || !config["architecture"].is_string()) return false;
  const std::string name = config["architecture"];
  return std::any_of(beginnings.begin(), beginnings.end(), [&](const char* b) { return name.starts_with(b); });
}

Json timm_constructor(const Json& config, const std::string& where,
                      Json (*by_name)(const std::string& architecture, const std::string& where)) {
  const Json given = config.value("model_args", Json::object());
  Json arguments = given.contains("embed_dim") ? Json::object() : by_name(config.at("architecture"), where);
  arguments.update(given);
  for (const char* key : {"num_classes", "global_pool"})
    if (config.contains(key)) arguments[key] = config[key];
  return arguments;
}

void refuse_timm(const std::string& architecture, const std::string& arguments, const std::string& where) {
  throw Error("unknown timm architecture '" + architecture + "'", where,
              "give its constructor arguments under \"model_args\" (" + arguments + ")");
}

NameTable between_stages(size_t stages, const NameTable& names) {
  NameTable all;
  for (size_t next = 1; next < stages; ++next)
    all = all + names.within("layers." + std::to_string(next - 1), "stages." + std::to_string(next));
  return all;
}

}  // namespace tessera
