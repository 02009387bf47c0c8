#pragma once
#include "language/language_model.h"

namespace tessera {

struct GenerateOptions {
  int64_t max_new_tokens = 128;
  std::vector<int64_t> end_ids = {};  ///< a sequence ends with the first of them; empty: never
  int64_t padding_id = 0;             ///< what follows the end of a sequence that is shorter than others of its batch
};

/// Continues each text with the likeliest token, again and again (greedy decoding), until all have ended or there are
/// max_new_tokens.
/// @param text   prompts, B x L, padded left or right
/// @param state  what was seen before the prompts, made by the model's start(); afterwards it has seen the prompts and
/// all
///               new tokens but the last
/// @return the new tokens alone, B x at most max_new_tokens, int64; ended sequences are filled with padding_id
/// @throws Error for an empty prompt, or when the context is too short
Tensor generate(LanguageModel& model, const TextBatch& text, LanguageState& state, const GenerateOptions& options);
Tensor generate(LanguageModel& model, const TextBatch& text, const GenerateOptions& options);

}  // namespace tessera
