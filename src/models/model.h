#pragma once
#include <filesystem>
#include <map>
#include <memory>

#include "core/options.h"
#include "layers/module.h"
#include "models/name_table.h"

namespace tessera {

class ImageProcessor;
class Tokenizer;

/// A model with all that its folder ships: the way in (processor, tokenizer), the weights, and what saving it back needs.
///
/// What it can do is asked of the module by its type: `dynamic_cast<DualEncoder*>(model.module.get())`, or with as<T>().
struct Model {
  std::filesystem::path folder;               ///< where it was loaded from; empty for a new one
  std::string family;                         ///< "vit", "clip", "dual-encoder", ...
  Json config;                                ///< config.json as published
  std::shared_ptr<Module> module;
  std::shared_ptr<const ImageProcessor> processor;  ///< null when the folder ships none
  std::shared_ptr<const Tokenizer> tokenizer;       ///< null when the folder ships none
  NameTable names;                            ///< published names <-> module names
  StoredTensors stored;                       ///< how each tensor stood in the file: names, types, what was ignored

  /// The module as `T`. @throws Error saying what the model is and `purpose`, what a T is needed for
  template <class T>
  T& as(const std::string& purpose) const {
    if (auto* wanted = dynamic_cast<T*>(module.get())) return *wanted;
    throw Error("a model of family '" + family + "' cannot " + purpose, folder.string(), "see `tessera models`");
  }
};

/// Loads a folder as published (transformers, timm, open_clip, or Tessera's own), strictly: every tensor of the file is
/// used or known to be ignored, every parameter is filled. The module is in eval mode.
/// @throws Error
Model load_model(const std::filesystem::path& folder);

/// Builds a model from a recipe's or config.json's options, with fresh weights.
Model make_model(const Json& config, const std::string& where);

/// Writes config.json, model.safetensors, tokenizer and preprocessor_config.json in the form that was loaded; tensors
/// that did not change keep every byte.
void save_model(const Model& model, const std::filesystem::path& folder);

}  // namespace tessera
