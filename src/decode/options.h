#pragma once
#include "core/options.h"

namespace tessera {

/// How a text is continued. Names and meanings are those of transformers' GenerationConfig where it has them; the
/// frequency and presence penalties are those of the OpenAI API.
struct GenerateOptions {
  int64_t max_new_tokens = 128;
  std::vector<int64_t> end_ids = {};  ///< a sequence ends with the first of them; empty: never
  int64_t padding_id = 0;             ///< what follows the end of a sequence that is shorter than others of its batch
  int64_t min_new_tokens = 0;         ///< no end before

  // Sampling; without do_sample the likeliest token is taken.
  bool do_sample = false;
  double temperature = 1;  ///< the logits are divided by it
  int64_t top_k = 0;       ///< only the k likeliest; 0: all. In contrastive search, how many candidates are looked at
  double top_p = 1;        ///< only the likeliest that together have this probability (Holtzman et al., 2020)
  double min_p = 0;        ///< only those with this share of the largest probability (Nguyen et al., 2024)
  double typical_p = 1;    ///< only those whose surprise is nearest to the expected one (Meister et al., 2023)
  int64_t seed = 0;        ///< of row i: mix_seed(seed, i)
  int64_t num_return_sequences = 1;  ///< continuations of each prompt

  // Changes of the logits.
  double repetition_penalty = 1;  ///< of every token in the text, by factor (Keskar et al., 2019)
  double frequency_penalty = 0;   ///< subtracted for each time that a token was made
  double presence_penalty = 0;    ///< subtracted from tokens that were made
  int64_t no_repeat_ngram_size = 0;
  std::vector<std::vector<int64_t>> bad_words_ids = {};
  std::vector<int64_t> suppress_tokens = {}, begin_suppress_tokens = {};  ///< never; never first
  int64_t forced_bos_token_id = -1;  ///< the token behind a text of one token (a translator's language); -1: none
  int64_t forced_eos_token_id = -1;  ///< the last of max_new_tokens; -1: none

  // Beam search (num_beams > 1), with diverse groups (Vijayakumar et al., 2018).
  int64_t num_beams = 1, num_beam_groups = 1;
  double diversity_penalty = 0;
  double length_penalty = 1;             ///< a finished text scores its log-probability / length^this
  std::string early_stopping = "false";  ///< "true": with num_beams finished texts; "never": when none can get better

  double penalty_alpha = 0;  ///< contrastive search (Su et al., 2022); 0: none

  int64_t draft_tokens = 4;          ///< proposed at a time, in speculative decoding
  int64_t prompt_lookup_tokens = 0;  ///< proposes this many that followed the same words before; 0: none

  bool log_probabilities = false;  ///< of the tokens, under the model itself before any of these options

  /// @throws Error naming the first value out of range or combination that means nothing
  void check() const;
};
TESSERA_OPTIONS(GenerateOptions, max_new_tokens, end_ids, padding_id, min_new_tokens, do_sample, temperature, top_k,
                top_p, min_p, typical_p, seed, num_return_sequences, repetition_penalty, frequency_penalty,
                presence_penalty, no_repeat_ngram_size, bad_words_ids, suppress_tokens, begin_suppress_tokens,
                forced_bos_token_id, forced_eos_token_id, num_beams, num_beam_groups, diversity_penalty, length_penalty,
                early_stopping, penalty_alpha, draft_tokens, prompt_lookup_tokens, log_probabilities)

/// The defaults that a model's folder ships as generation_config.json.
/// @throws Error for a key that could change the text and is not known
GenerateOptions read_generation_config(const Json& config, const std::string& where);

}  // namespace tessera
