#include "layers/family.h"

namespace tessera {

std::vector<ModelFamily>& model_families() {
  static std::vector<ModelFamily> families;
  return families;
}

Assembly assemble(const Json& config, const std::string& where, std::string* family) {
  if (!config.is_object()) throw Error("expected an object", where);
  for (const char* key : {"model_type", "architecture"})
    if (config.contains(key) && !config[key].is_string()) throw Error("expected a string", where + ": " + key);
  for (const ModelFamily& candidate : model_families()) {
    if (!candidate.matches(config)) continue;
    if (family) *family = candidate.name;
    return candidate.assemble(config, where);
  }
  std::string known;
  for (const ModelFamily& candidate : model_families()) known += (known.empty() ? "" : ", ") + candidate.name;
  const std::string type = config.value("model_type", config.value("architecture", ""));
  throw Error(type.empty() ? "says neither model_type nor architecture" : "unknown model type '" + type + "'", where,
              "known families: " + known);
}

bool is_model_type(const Json& config, const std::vector<std::string>& types) {
  if (!config.contains("model_type") || !config["model_type"].is_string()) return false;
  return std::find(types.begin(), types.end(), config["model_type"].get<std::string>()) != types.end();
}

}  // namespace tessera
