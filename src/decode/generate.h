#pragma once
#include <functional>
#include <span>

#include "decode/constraint.h"
#include "decode/options.h"
#include "language/language_model.h"

namespace tessera {

/// What a language model is to go on with.
struct Prompt {
  Tokens tokens;  ///< vectors as embed() or a bridge makes them, B x L x D, padded left or right by their mask
  /// The ids of each text, without padding, for what looks at them (penalties, n-grams, look-up); where vectors came
  /// from elsewhere, those that are known.
  std::vector<std::vector<int64_t>> ids;
};

/// The ids of each text of a batch without its padding.
std::vector<std::vector<int64_t>> real_ids(const TextBatch& text);

/// A prompt of text alone. @throws Error for ids outside of the vocabulary, or a text without any
Prompt text_prompt(LanguageModel& model, const TextBatch& text);

/// Why a text ended: with an end token or where its constraint ends; by a watcher (a stop string); with max_new_tokens;
/// with the model's context; because it was interrupted.
enum class Finish { kEnd, kStop, kLength, kContext, kInterrupted };
std::string to_string(Finish finish);

struct Generated {
  std::vector<int64_t> ids;                    ///< the new tokens, with the end token
  std::vector<double> log_probabilities = {};  ///< of each, where GenerateOptions asks for them
  double score = 0;                            ///< of a beam search
  Finish finish = Finish::kLength;
};

/// Looks at a text while it grows.
class Watcher {
 public:
  virtual ~Watcher() = default;
  virtual std::unique_ptr<Watcher> clone() const = 0;
  /// @return true when the text ends with this token
  virtual bool push(int64_t id) = 0;
};

/// What takes part in decoding beside numbers. All may be missing.
struct GenerateHooks {
  /// Called with each token once it is certain; its log-probability is NaN where it was not asked for.
  std::function<void(int64_t row, int64_t id, double log_probability)> on_token = nullptr;
  std::function<std::unique_ptr<Watcher>(int64_t row)> watcher = nullptr;
  std::function<bool()> interrupted = nullptr;  ///< asked before each token; true: stop here
  std::shared_ptr<Constraint> constraint = nullptr;
  LanguageModel* draft = nullptr;   ///< of the same vocabulary: speculative decoding (Leviathan et al., 2023)
  std::vector<int64_t> seeds = {};  ///< of each prompt; empty: mix_seed(options.seed, row)
};

/// Goes on with each text until it ends, by greedy decoding, sampling, beam search, contrastive search or speculation,
/// as the options say. What a row becomes does not depend on the others.
/// @param state  what was seen before the prompts, made by the model's start(). Afterwards, where one continuation of
///               each prompt was made token by token, it has seen the prompts and all new tokens but the last, also
///               when the generation was interrupted; after a search it belongs to the beams.
/// @return num_return_sequences for each prompt, one prompt after the other; of a search, best first
/// @throws Error for an empty prompt, one that leaves no room in the model's context, options that mean nothing
///         together, or when constraint and bans leave no token
std::vector<Generated> decode(LanguageModel& model, const Prompt& prompt, LanguageState& state,
                              const GenerateOptions& options, const GenerateHooks& hooks = {});

/// The new tokens of each, B x the longest, filled up with `padding_id`: int64.
Tensor as_rows(const std::vector<Generated>& results, int64_t padding_id);

/// decode() for ids.
/// @param text   prompts, B x L, padded left or right
/// @return the new tokens alone, B x at most max_new_tokens, int64; ended sequences are filled with padding_id
Tensor generate(LanguageModel& model, const TextBatch& text, LanguageState& state, const GenerateOptions& options);
Tensor generate(LanguageModel& model, const TextBatch& text, const GenerateOptions& options);

}  // namespace tessera
