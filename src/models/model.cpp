#include "models/model.h"

#include "core/files.h"
#include "layers/family.h"
#include "layers/unfilled.h"
#include "vlm/vision_language.h"

namespace tessera {
namespace fs = std::filesystem;
namespace {

const char* const kConfigs[] = {"config.json", "open_clip_config.json"};
const char* const kTokenizers[] = {"tokenizer.json",          "tokenizer.model", "spiece.model",
                                   "sentencepiece.bpe.model", "vocab.txt",       "vocab.json"};

fs::path config_of(const fs::path& folder) {
  for (const char* name : kConfigs)
    if (fs::exists(folder / name)) return folder / name;
  throw Error("holds no config.json", folder.string(), "a model folder has config.json and model.safetensors");
}

/// Python writes Infinity, for which JSON has no word; in a config it says that there is no limit.
std::string without_infinity(std::string text) {
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (quoted && text[i] == '\\')
      ++i;
    else if (text[i] == '"')
      quoted = !quoted;
    else if (!quoted && text.compare(i, 8, "Infinity") == 0)
      text.replace(i, 8, "1e30");
  }
  return text;
}

void load_processor(Model& model, const fs::path& folder) {
  const bool timm = model.config.contains("pretrained_cfg");
  for (const char* name : {"preprocessor_config.json", "processor_config.json", "open_clip_config.json"})
    if (fs::exists(folder / name) || timm) {
      const fs::path file = timm ? folder / "config.json" : folder / name;
      model.processor = std::make_shared<ImageProcessor>(ImageProcessor::load(file.string()));
      return;
    }
}

void load_tokenizer_of(Model& model, const fs::path& folder) {
  for (const char* name : kTokenizers)
    if (fs::exists(folder / name)) {
      model.tokenizer = std::make_shared<Tokenizer>(load_tokenizer(folder));
      return;
    }
}

/// The template that makes a prompt of a conversation: a file of its own, or a part of another.
std::string chat_template_of(const fs::path& folder) {
  if (fs::exists(folder / "chat_template.jinja")) return read_file(folder / "chat_template.jinja");
  for (const char* name : {"chat_template.json", "processor_config.json", "tokenizer_config.json"}) {
    if (!fs::exists(folder / name)) continue;
    const std::string where = (folder / name).string() + ": chat_template";
    const Json json = read_json(folder / name);
    if (!json.is_object() || !json.contains("chat_template") || json["chat_template"].is_null()) continue;
    const Json& found = json["chat_template"];
    if (found.is_string()) return found;
    if (!found.is_array()) throw Error("expected a text, or a list of named ones", where);
    for (const Json& one : found)
      if (one.is_object() && one.value("name", "") == "default" && one.contains("template")) return one["template"];
  }
  return {};
}

/// Where config and tokenizer both say which token stands for a picture, they must agree.
void check_placeholder(const Model& model) {
  const auto* vlm = dynamic_cast<const VisionLanguage*>(model.module.get());
  if (!vlm || !model.tokenizer || vlm->options().join != "replace") return;
  const auto& o = vlm->options();
  if (const auto id = model.tokenizer->token_to_id(o.placeholder); id && *id != o.placeholder_id)
    throw Error("the config says that a picture's token is " + std::to_string(o.placeholder_id) +
                    ", the tokenizer has " + o.placeholder + " at " + std::to_string(*id),
                model.folder.string(), "the tokenizer and the config do not belong together");
}

}  // namespace

Model load_model(const fs::path& path, const fs::path& config) {
  if (!fs::exists(path))
    throw Error("does not exist", path.string(), "give a model folder, or a .safetensors file with its config");
  const bool folder = fs::is_directory(path);
  if (!folder && config.empty())
    throw Error("is a file without a config", path.string(), "give its folder, or the config.json beside it");
  const fs::path config_file = config.empty() ? config_of(path) : config;
  const Json json = parse_json(without_infinity(read_file(config_file)), config_file.string());
  Model model;
  {
    const UnfilledWeights unfilled;  // load_weights() fills every one
    model = make_model(json, config_file.string());
  }
  model.folder = path;
  model.stored = load_weights(*model.module, Checkpoint::open(path), model.names);
  model.module->eval();
  if (folder) {
    load_processor(model, path);
    load_tokenizer_of(model, path);
    if (fs::exists(path / "generation_config.json")) model.generation = read_json(path / "generation_config.json");
    model.chat_template = chat_template_of(path);
    check_placeholder(model);
  }
  return model;
}

Model make_model(const Json& config, const std::string& where) {
  Model model;
  model.config = config;
  Assembly assembly = assemble(config, where, &model.family);
  model.module = std::move(assembly.module);
  model.names = std::move(assembly.names);
  return model;
}

void save_model(const Model& model, const fs::path& folder, torch::ScalarType dtype) {
  std::error_code failure;
  fs::create_directories(folder, failure);
  if (failure) throw Error("cannot be made: " + failure.message(), folder.string());
  save_checkpoint(folder / "model.safetensors", published_tensors(*model.module, model.names, model.stored, dtype));
  const bool open_clip = model.config.contains("model_cfg");
  write_file(folder / (open_clip ? "open_clip_config.json" : "config.json"), model.config.dump(2) + "\n");
  if (model.processor && !open_clip && !model.config.contains("pretrained_cfg"))
    write_file(folder / "preprocessor_config.json", to_json(model.processor->options()).dump(2) + "\n");
  if (model.tokenizer) model.tokenizer->save(folder);
  if (!model.generation.is_null()) write_file(folder / "generation_config.json", model.generation.dump(2) + "\n");
  if (!model.chat_template.empty()) write_file(folder / "chat_template.jinja", model.chat_template);
}

Tensor check_finite(const Model& model, const Tensor& result) {
  if (result.isfinite().all().item<bool>()) return result;
  if (!model.folder.empty()) check_finite(Checkpoint::open(model.folder));
  throw Error("the result holds NaN or infinity, though the weights are finite", model.folder.string(),
              "the input is outside of what the model was made for");
}

}  // namespace tessera
