#pragma once
#include "decode/generate.h"
#include "parity/golden.h"
#include "vlm/vision_language.h"

namespace tessera::parity {

/// The calls of a causal language model: forward, loss, generate, and forward through a state (attribute "prefill").
/// @param state  made by the model's start(); what "prefill" goes on with
Outputs call_causal(LanguageModel& model, const Golden& golden, const Case& item, const Inputs& in,
                    LanguageState& state);

/// What a generate case says: its attributes, else the config's.
GenerateOptions generate_options(const Golden& golden, const Case& item);

/// Pictures, text and, for what reads one beside a picture, the instruction of a case.
MultimodalBatch multimodal_batch(const Inputs& in);

/// An input that may be absent.
Tensor input_or_none(const Inputs& in, const std::string& name);

}  // namespace tessera::parity
