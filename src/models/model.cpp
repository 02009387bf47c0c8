#include "models/model.h"

#include "core/files.h"
#include "layers/family.h"
#include "layers/prepare.h"
#include "layers/unfilled.h"
#include "processors/spectrogram.h"
#include "text/chat_template.h"
#include "vlm/talker.h"

namespace tessera {
namespace fs = std::filesystem;
namespace {

const char* const kConfigs[] = {"config.json", "open_clip_config.json"};
const char* const kTokenizers[] = {"tokenizer.json",          "tokenizer.model", "spiece.model",
                                   "sentencepiece.bpe.model", "vocab.txt",       "vocab.json"};
const char* const kPrepared = "prepared.safetensors";
const char* const kInstructionTokenizer = "qformer_tokenizer";

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
      if (!timm && describes_spectrograms(read_json(file))) return;  // see load_spectrogram_options()
      model.processor = std::make_shared<ImageProcessor>(ImageProcessor::load(file.string()));
      return;
    }
}

std::shared_ptr<const Tokenizer> tokenizer_of(const fs::path& folder) {
  for (const char* name : kTokenizers)
    if (fs::exists(folder / name)) return std::make_shared<Tokenizer>(load_tokenizer(folder));
  return nullptr;
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

namespace {

/// Of the folder or file: the module with unfilled weights, and its names.
Model unfilled_model(const fs::path& path, const fs::path& config) {
  if (!fs::exists(path))
    throw Error("does not exist", path.string(), "give a model folder, or a .safetensors file with its config");
  if (!fs::is_directory(path) && config.empty())
    throw Error("is a file without a config", path.string(), "give its folder, or the config.json beside it");
  const fs::path config_file = config.empty() ? config_of(path) : config;
  const Json json = parse_json(without_infinity(read_file(config_file)), config_file.string());
  const UnfilledWeights unfilled;
  Model model = make_model(json, config_file.string());
  model.folder = path;
  return model;
}

/// What a folder holds beside config and weights.
void load_companions(Model& model, const fs::path& path) {
  load_processor(model, path);
  model.tokenizer = tokenizer_of(path);
  model.instruction_tokenizer = tokenizer_of(path / kInstructionTokenizer);
  if (fs::exists(path / "generation_config.json")) model.generation = read_json(path / "generation_config.json");
  model.chat_template = ChatTemplate::text_of(path);
  check_placeholder(model);
}

void save_companions(const Model& model, const fs::path& folder) {
  const bool open_clip = model.config.contains("model_cfg");
  write_file(folder / (open_clip ? "open_clip_config.json" : "config.json"), model.config.dump(2) + "\n");
  if (model.processor && !open_clip && !model.config.contains("pretrained_cfg"))
    write_file(folder / "preprocessor_config.json", to_json(model.processor->options()).dump(2) + "\n");
  if (model.tokenizer) model.tokenizer->save(folder);
  if (model.instruction_tokenizer) model.instruction_tokenizer->save(folder / kInstructionTokenizer);
  if (!model.generation.is_null()) write_file(folder / "generation_config.json", model.generation.dump(2) + "\n");
  if (!model.chat_template.empty()) write_file(folder / "chat_template.jinja", model.chat_template);
}

void make_folder(const fs::path& folder) {
  std::error_code failure;
  fs::create_directories(folder, failure);
  if (failure) throw Error("cannot be made: " + failure.message(), folder.string());
}

/// The weights that save_prepared_model() wrote; empty where there are none.
fs::path prepared_file(const fs::path& folder) {
  for (const char* name : {kPrepared, "prepared.safetensors.index.json"})
    if (fs::exists(folder / name)) return folder / name;
  return {};
}

}  // namespace

Model load_model(const fs::path& path, const fs::path& config) {
  if (is_prepared_folder(path))
    throw Error("holds prepared weights, which are for inference alone", path.string(),
                "name the folder that it was prepared from");
  Model model = unfilled_model(path, config);
  model.stored = load_weights(*model.module, Checkpoint::open(path), model.names);
  model.module->eval();
  if (fs::is_directory(path)) load_companions(model, path);
  return model;
}

bool is_prepared_folder(const fs::path& folder) { return !prepared_file(folder).empty(); }

Model load_prepared_model(const fs::path& path, std::optional<Precision> precision, std::vector<PreparedPart>* parts) {
  Model model = unfilled_model(path, {});
  if (const fs::path file = prepared_file(path); !file.empty()) {
    const Precision stored = load_prepared(*model.module, file);
    if (precision && stored != *precision)
      throw Error("was prepared in " + precision_names()[static_cast<size_t>(stored)], path.string(),
                  "ask for that, or prepare the published folder anew");
    if (parts) *parts = prepare(*model.module, stored);  // which changes nothing
  } else if (!precision) {
    throw Error("was not prepared", path.string(), "choose a precision");
  } else {
    auto found = load_and_prepare(*model.module, Checkpoint::open(path), model.names, *precision, &model.stored);
    if (parts) *parts = std::move(found);
  }
  load_companions(model, path);
  return model;
}

void save_prepared_model(const Model& model, Precision precision, const fs::path& folder) {
  make_folder(folder);
  save_prepared(*model.module, precision, folder / kPrepared);
  save_companions(model, folder);
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
  make_folder(folder);
  save_checkpoint(folder / "model.safetensors", published_tensors(*model.module, model.names, model.stored, dtype));
  save_companions(model, folder);
}

void Model::refuse(const std::string& purpose, const std::string& remedy) const {
  throw Error("a model of family '" + family + "' cannot " + purpose, folder.string(), remedy);
}

template <>
DualEncoder& Model::as<DualEncoder>(const std::string& purpose) const {
  if (DualEncoder* dual = dual_encoder_in(*module)) return *dual;
  refuse(purpose);
}

Tensor check_finite(const Model& model, const Tensor& result) {
  if (result.isfinite().all().item<bool>()) return result.cpu();
  if (!model.folder.empty()) check_finite(Checkpoint::open(model.folder));
  throw Error("the result holds NaN or infinity, though the weights are finite", model.folder.string(),
              "the input is outside of what the model was made for");
}

}  // namespace tessera
