#pragma once
#include <torch/types.h>

#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "models/model.h"

namespace tessera::bench {

/// What is measured of a model.
struct Row {
  std::function<double()> measure;        ///< runs once; milliseconds of what counts, or MB
  std::function<torch::Tensor()> output;  ///< what the other sides must agree with; empty: nothing to compare
};
using Rows = std::map<std::string, Row>;

/// A model that is ready.
struct Loaded {
  Rows rows;
  double gigabytes = 0;  ///< of weights that a decoded token reads: the packed linear layers; 0: not known
};

/// Pictures, texts or tokens through a model, which is prepared in the precision of the settings. The rows keep the
/// model alive. "attention" of a ViT is that of all its blocks alone, over random numbers.
/// @param settings  see sides.py
/// @throws Error
Loaded inference_rows(const nlohmann::json& settings);

/// "step": a training step in the precision of the settings ("unprepared": float32), whose output is the gradient of
/// the position table; "memory": the most that the process has held since this call, in MB.
/// @throws Error
Rows training_rows(const nlohmann::json& settings);

/// "file": a JPEG file of 1920 x 1080, which is written into the settings' folder where it is not there yet, through
/// the ViT of the settings: read, decoded, resized, cropped and encoded. @throws Error
Row file_row(const std::shared_ptr<Model>& model, const std::string& folder);

/// The process's memory of a model that is loaded, prepared and asked once: "memory", how far it stood at most above
/// what it held before it loaded the model, and "weights", what the model's (packed) weights are of it. Both in MB.
/// @throws Error
Rows memory_rows(const nlohmann::json& settings);

/// Whole processes: "classify" a picture with the model that ships, "version", and "libtorch", a program that loads
/// LibTorch and does nothing. @throws Error
Rows start_rows();

/// One answer of the model: to the first of the inputs, or of a language model some tokens after a prompt.
torch::Tensor one_answer(const std::shared_ptr<Model>& model, const nlohmann::json& settings);

/// The model and the inputs of the settings' folder (models.py).
Model load_side(const nlohmann::json& settings);
torch::Tensor load_inputs(const nlohmann::json& settings);

}  // namespace tessera::bench
