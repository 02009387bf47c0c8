#pragma once
#include "language/language_model.h"
#include "plain_llama.h"

namespace tessera::bench {

/// The sizes of TinyLlama, 1.1 B parameters.
inline constexpr LlamaSizes kTinyLlama = {32000, 2048, 22, 32, 4, 5632};

/// A language model of LLaMA's shape with random weights.
std::shared_ptr<LanguageModel> random_llama(const LlamaSizes& sizes, bool tied);

/// The logits after the last of these token vectors, 1 x vocabulary.
torch::Tensor last_logits(LanguageModel& model, const Tokens& tokens, LanguageState& state);

/// What is timed must be the same computation. @throws Error
void check_equal(const torch::Tensor& ours, const torch::Tensor& peer, const std::string& name);

}  // namespace tessera::bench
