#pragma once
#include "models/model.h"

namespace tessera {

/// Puts what a PEFT folder holds on a model: low-rank branches, factors or bottlenecks on its layers, or virtual tokens
/// in front of what it reads. The model is used as before, and is not to be saved.
/// @throws Error when the adapter was made for another model, or the model is prepared
void adapt(Model& model, const std::filesystem::path& adapter);

/// open_model() with an adapter on it where one is named; what the adapter changes is not packed then.
Model open_adapted_model(const std::filesystem::path& folder, const std::filesystem::path& adapter,
                         const std::string& precision = {}, const std::string& device = "cpu");

/// An adapter for good: the change is in the model's parameters, as save_model() writes them.
/// @throws Error for what no parameter can hold, bottlenecks and virtual tokens, and when the model is prepared
void adapt_by_merging(Model& model, const std::filesystem::path& adapter);

/// config.json of the part of a model that writes: that of its language model where it sees, too.
const Json& language_config(const Model& model);

}  // namespace tessera
