#pragma once
#include "models/model.h"
#include "train/tune_options.h"
#include "tune/peft_config.h"

namespace tessera {

/// The adapter_config.json of a new adapter, as PEFT writes it. Where the options name no modules, they are those that
/// PEFT chooses for models with these names (and for bottlenecks what ends attention and feed-forward: Houlsby et al.,
/// 2019).
/// @throws Error when the options name none and the model's names are of no known kind
PeftConfig adapter_config(const TuneOptions& options, const Model& base);

/// The learning rate that PEFT's own examples use with a method.
double usual_learning_rate(const std::string& method);

}  // namespace tessera
