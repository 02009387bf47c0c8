#include "parity/golden.h"

#include "core/error.h"
#include "core/files.h"
#include "layers/family.h"
#include "layers/weights.h"

namespace tessera::parity {
namespace fs = std::filesystem;
namespace {

std::map<std::string, std::string> keys(const Json& json, const char* name) {
  std::map<std::string, std::string> result;
  if (json.contains(name))
    for (const auto& [key, value] : json.at(name).items()) result[key] = value.get<std::string>();
  return result;
}

Case read_case(const Json& json) {
  Case result;
  result.json = json;
  result.name = json.at("name");
  result.call = json.at("call");
  result.mode = json.value("mode", "eval");
  result.meaning = json.value("meaning", "");
  result.inputs = keys(json, "inputs");
  result.outputs = keys(json, "outputs");
  result.probes = keys(json, "probes");
  result.grads = keys(json, "grads");
  result.attributes = json.value("attributes", Json::object());
  // "file" names a file of the folder, not a tensor.
  result.file = json.value("file", "");
  if (const auto found = result.inputs.find("file"); found != result.inputs.end()) {
    result.file = found->second;
    result.inputs.erase(found);
  }
  for (const auto& name : json.value("internals", Json::array())) result.internals.insert(name.get<std::string>());
  result.rtol = json.value("rtol", 1e-3);
  result.atol = json.value("atol", 1e-4);
  return result;
}

}  // namespace

Golden read_golden(const fs::path& folder) {
  const fs::path file = folder / "golden.json";
  const Json json = read_json(file);
  try {
    Golden golden{.folder = folder,
                  .system = json.at("system"),
                  .kind = json.at("kind"),
                  .arch = json.value("arch", ""),
                  .variant = folder.filename().string(),
                  .config = json.value("config", Json::object())};
    for (const Json& item : json.at("cases")) golden.cases.push_back(read_case(item));
    if (fs::exists(folder / "cases.safetensors"))
      golden.tensors = std::make_shared<Checkpoint>(Checkpoint::open(folder / "cases.safetensors"));
    return golden;
  } catch (const nlohmann::json::exception& error) {
    throw Error(std::string("is not a golden: ") + error.what(), file.string());
  }
}

std::map<std::string, Adapter>& adapters() {
  static std::map<std::string, Adapter> all;
  return all;
}

System assemble_golden(const Golden& golden, const std::string& model_type) {
  Json config = golden.config;
  if (!model_type.empty()) config["model_type"] = model_type;
  Assembly assembly = assemble(config, (golden.folder / "golden.json").string() + ": config");
  load_weights(*assembly.module, Checkpoint::open(golden.folder / "model.safetensors"), assembly.names);
  return {.module = assembly.module, .names = assembly.names};
}

}  // namespace tessera::parity
