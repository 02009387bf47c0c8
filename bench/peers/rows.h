#pragma once
#include <torch/types.h>

#include <functional>
#include <map>
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

/// The model and the inputs of the settings' folder (models.py).
Model load_side(const nlohmann::json& settings);
torch::Tensor load_inputs(const nlohmann::json& settings);

}  // namespace tessera::bench
