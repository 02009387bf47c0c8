#include "tune/peft_file.h"

#include <algorithm>

#include "core/files.h"
#include "core/shape_text.h"

namespace tessera {
namespace fs = std::filesystem;
namespace {

const char* const kRemedy = "the adapter was made for another model";

/// Versions of PEFT differ in some names.
std::string modern(std::string name) {
  if (name.ends_with(".lora_magnitude_vector.weight")) name.resize(name.size() - 7);
  return name;
}

/// The names of a checkpoint in the order of the file.
std::vector<std::string> in_file_order(const Checkpoint& checkpoint) {
  std::vector<std::pair<size_t, std::string>> places;
  for (const auto& [name, info] : checkpoint.tensors()) places.emplace_back(info.begin, name);
  std::sort(places.begin(), places.end());
  std::vector<std::string> names;
  for (auto& [begin, name] : places) names.push_back(std::move(name));
  return names;
}

torch::Tensor find(const PeftTensors& tensors, const std::string& name) {
  for (const auto& [known, tensor] : tensors)
    if (known == name) return tensor;
  return {};
}

/// A learned bias is stored with or without the name of the layer that PEFT wraps.
torch::Tensor find_any(const PeftTensors& tensors, const std::string& name) {
  const torch::Tensor found = find(tensors, modern(name));
  if (found.defined() || !name.ends_with(".bias")) return found;
  return find(tensors, name.substr(0, name.size() - 4) + "base_layer.bias");
}

}  // namespace

PeftFile::PeftFile(const fs::path& folder) : folder_(folder) {
  if (!fs::exists(folder / "adapter_config.json"))
    throw Error("holds no adapter_config.json", folder.string(),
                "give a folder that PEFT or Tessera saved an adapter to");
  config_bytes_ = read_file(folder / "adapter_config.json");
  if (!fs::exists(folder / "adapter_model.safetensors"))
    throw Error("holds no adapter_model.safetensors", folder.string(),
                fs::exists(folder / "adapter_model.bin") ? "convert adapter_model.bin to safetensors" : "");
  checkpoint_ = Checkpoint::open(folder / "adapter_model.safetensors");
}

PeftConfig PeftFile::config() const {
  const std::string where = (folder_ / "adapter_config.json").string();
  return PeftConfig::read(parse_json(config_bytes_, where), where);
}

void PeftFile::fill(const PeftTensors& tensors, const std::function<bool(const std::string&)>& optional) const {
  const torch::NoGradGuard no_grad;
  const std::string where = checkpoint_->path().string();
  std::vector<torch::TensorImpl*> filled;
  for (const auto& [name, info] : checkpoint_->tensors()) {
    torch::Tensor target = find_any(tensors, name);
    if (!target.defined()) throw Error("the model has no place for '" + name + "'", where, kRemedy);
    if (target.sizes() != at::IntArrayRef(info.shape))
      throw Error("tensor '" + name + "' has shape " + shape_text(info.shape) + ", this model needs " +
                      shape_text(target.sizes()),
                  where, kRemedy);
    target.copy_(checkpoint_->tensor(name));
    filled.push_back(target.unsafeGetTensorImpl());
  }
  for (const auto& [name, tensor] : tensors)
    if (!optional(name) && std::find(filled.begin(), filled.end(), tensor.unsafeGetTensorImpl()) == filled.end())
      throw Error("the tensor '" + name + "' is missing", where, kRemedy);
}

void PeftFile::save(const fs::path& folder, const PeftConfig& config, const PeftTensors& tensors,
                    const std::function<bool(const std::string&)>& skip) const {
  PeftTensors written;
  std::vector<torch::TensorImpl*> done;
  if (checkpoint_)
    for (const std::string& name : in_file_order(*checkpoint_)) {
      const torch::Tensor tensor = find_any(tensors, name);
      written.emplace_back(name, tensor.detach().to(checkpoint_->tensors().at(name).dtype).contiguous());
      done.push_back(tensor.unsafeGetTensorImpl());
    }
  for (const auto& [name, tensor] : tensors)
    if (std::find(done.begin(), done.end(), tensor.unsafeGetTensorImpl()) == done.end() && !skip(name))
      written.emplace_back(name, tensor.detach().contiguous());
  const std::map<std::string, std::string> plain = {{"format", "pt"}};
  save_checkpoint(folder / "adapter_model.safetensors", written, checkpoint_ ? checkpoint_->metadata() : plain);
  write_file(folder / "adapter_config.json", config_bytes_.empty() ? config.json.dump(2) : config_bytes_);
}

}  // namespace tessera
