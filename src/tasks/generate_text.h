#pragma once
#include <functional>
#include <optional>
#include <span>

#include "decode/generate.h"
#include "models/model.h"

namespace tessera {

/// The decoding defaults of a model: its generation_config.json; where that says no end token, the config's or the
/// tokenizer's. @throws Error for a file that is wrong
GenerateOptions default_decoding(const Model& model);

struct TextGenerateOptions {
  GenerateOptions decode = {};
  std::vector<std::string> stop = {};  ///< the text ends before the first of these
  std::string expression = "";         ///< the text matches this regular expression as a whole; empty: any
  std::optional<nlohmann::ordered_json> schema = std::nullopt;  ///< the text is JSON of this schema
  std::string cache = "float32";                                ///< how keys and values are kept; see cache_storage()
  bool truncate = false;  ///< the beginning of a prompt that is too long is cut off; else that is an Error
  int64_t batch = 8;      ///< prompts at a time
};

struct GeneratedText {
  size_t prompt = 0;  ///< which of the prompts it continues
  std::string text;   ///< behind the prompt, or the answer of a model that reads a source first (T5)
  Generated tokens;
};

struct TextHooks {
  /// Called with pieces of text as they become certain, where one sequence of each prompt is made token by token.
  std::function<void(size_t prompt, const std::string& piece)> on_text = nullptr;
  /// Called with all sequences of a batch of prompts, in their order.
  std::function<void(const GeneratedText& made)> on_made = nullptr;
  std::function<bool()> interrupted = nullptr;
};

/// Prompts to texts by a language model and its tokenizer.
class TextGenerator {
 public:
  /// @param draft  a smaller model of the same vocabulary, for speculative decoding
  /// @throws Error when the model does not generate text, or has no tokenizer
  explicit TextGenerator(const Model& model, std::optional<Model> draft = std::nullopt);

  /// Goes on with each prompt. What becomes of one depends on its number and the seed, not on the batch it is in. After
  /// an interruption it ends with the batch that it is at.
  /// @throws Error for an empty prompt, one that is too long, or options that mean nothing together
  void generate(std::span<const std::string> prompts, const TextGenerateOptions& options, const TextHooks& hooks);

 private:
  struct Start {
    Prompt prompt;
    LanguageState state;
    std::vector<std::vector<int64_t>> before;  // the ids that the text continues; none where it is one of its own
  };
  Start start(std::span<const std::string> prompts, const TextGenerateOptions& options) const;
  void generate_batch(std::span<const std::string> prompts, size_t first, const TextGenerateOptions& options,
                      const std::shared_ptr<Constraint>& constraint, const TextHooks& hooks);
  std::shared_ptr<Constraint> constraint_of(const TextGenerateOptions& options) const;

  Model model_;
  std::optional<Model> draft_;
  LanguageModel& language_;
};

}  // namespace tessera
