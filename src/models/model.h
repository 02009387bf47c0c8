#pragma once
#include <filesystem>
#include <map>
#include <memory>
#include <optional>

#include "core/options.h"
#include "kernels/precision.h"
#include "layers/weights.h"
#include "processors/image_processor.h"
#include "text/tokenizer.h"

namespace tessera {

class DualEncoder;
struct PreparedPart;

/// A model with all that its folder ships: the way in (processor, tokenizer), the weights, and what saving it back
/// needs.
///
/// What it can do is asked of the module by its type: `dynamic_cast<DualEncoder*>(model.module.get())`, or with
/// as<T>().
struct Model {
  std::filesystem::path folder;  ///< where it was loaded from; empty for a new one
  std::string family;            ///< "vit", "clip", "dual-encoder", ...
  Json config;                   ///< config.json as published
  std::shared_ptr<Module> module;
  std::shared_ptr<const ImageProcessor> processor;  ///< null when the folder ships none
  std::shared_ptr<const Tokenizer> tokenizer;       ///< null when the folder ships none
  /// Of what a bridge reads beside the picture (InstructBLIP: the folder qformer_tokenizer); null when there is none.
  std::shared_ptr<const Tokenizer> instruction_tokenizer;
  Json generation;            ///< generation_config.json as published; null when the folder ships none
  std::string chat_template;  ///< Jinja text that makes a prompt of a conversation; empty when the folder ships none
  NameTable names;            ///< published names <-> module names
  StoredTensors stored;       ///< how each tensor stood in the file: names, types, what was ignored

  /// The module as `T`. @throws Error saying what the model is and `purpose`, what a T is needed for
  template <class T>
  T& as(const std::string& purpose) const {
    if (auto* wanted = dynamic_cast<T*>(module.get())) return *wanted;
    refuse(purpose);
  }
  /// @throws Error saying that the model cannot do this
  [[noreturn]] void refuse(const std::string& purpose, const std::string& remedy = "see `tessera models`") const;
};

/// The dual encoder of a model that is one or has one.
template <>
DualEncoder& Model::as<DualEncoder>(const std::string& purpose) const;

/// Loads a folder as published (transformers, timm, open_clip, or Tessera's own), strictly: every tensor of the file is
/// used or known to be ignored, every parameter is filled. The module is in eval mode.
/// @param path    the folder, or a bare .safetensors file, which needs a config
/// @param config  a config.json to use instead of the folder's
/// @throws Error
Model load_model(const std::filesystem::path& path, const std::filesystem::path& config = {});

/// Whether save_prepared_model() wrote the folder.
bool is_prepared_folder(const std::filesystem::path& folder);

/// A folder's model, ready for inference (see prepare()): packed as it is read, so that it never lies in memory in
/// float32; or, of a folder that was prepared, mapped.
/// @param precision  none: that of the prepared folder
/// @throws Error also where the folder was prepared in another precision, or not at all and none is given
/// @param parts  if not null, gets what became of each part
Model load_prepared_model(const std::filesystem::path& path, std::optional<Precision> precision,
                          std::vector<PreparedPart>* parts = nullptr);

/// Writes a folder with a prepared model's packed weights (prepared.safetensors) and all else that save_model() writes.
void save_prepared_model(const Model& model, Precision precision, const std::filesystem::path& folder);

/// Builds a model from a recipe's or config.json's options, with fresh weights, in training mode.
/// @param where  for messages: the file that the config comes from
Model make_model(const Json& config, const std::string& where);

/// Writes config.json, model.safetensors, the tokenizer, preprocessor_config.json, generation_config.json and
/// chat_template.jinja in the form that was loaded;
/// tensors that did not change keep every byte. A new model's floating tensors are written as `dtype`.
void save_model(const Model& model, const std::filesystem::path& folder, torch::ScalarType dtype = torch::kFloat32);

/// Passes on what a model computed when all of it is finite. Weights are mapped, not read, so that a NaN in the file
/// shows only here. @throws Error naming the tensor of the file that holds it, or saying that the input does
Tensor check_finite(const Model& model, const Tensor& result);

}  // namespace tessera
