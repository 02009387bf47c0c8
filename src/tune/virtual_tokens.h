#pragma once
#include "language/language_model.h"
#include "tune/peft_file.h"

namespace tessera {

/// Learned vectors in front of every text of a frozen causal language model.
///
/// Prompt tuning (Lester et al., 2021): P token vectors before those of the text. Prefix tuning (Li and Liang, 2021):
/// keys and values of P tokens in every layer, as if they had been read before; in models with rotary positions they
/// count as already turned. Either way the state that start() makes has seen them, so that a text goes on from there.
/// The vectors are a child of the model.
class VirtualTokens {
 public:
  /// @param model_config  config.json of the model, for the number of heads that a prefix is cut into
  /// @throws Error for a model that cannot take them
  static VirtualTokens attach(std::shared_ptr<LanguageModel> model, const Json& model_config, const PeftConfig& config,
                              const std::string& name = "default");
  /// From a PEFT folder. @throws Error when it was made for another model
  static VirtualTokens load(std::shared_ptr<LanguageModel> model, const Json& model_config,
                            const std::filesystem::path& folder, const std::string& name = "default");
  void save(const std::filesystem::path& folder) const;
  void detach();

  /// A state that has seen the virtual tokens.
  LanguageState start(int64_t batch) const;
  /// The same for a state of the model that has seen nothing.
  void begin(LanguageState& state, int64_t batch) const;
  /// Ids to logits: with a prefix those of the text, B x L x vocabulary; with a prompt those of prompt and text,
  /// B x (P + L) x vocabulary.
  /// @param positions  coordinates of the same tokens, B x L or B x (P + L); undefined: the real tokens are counted
  Tensor forward(const TextBatch& text, const Tensor& positions = {}) const;
  /// Labels for the logits of forward(): none (-100) for the virtual tokens. B x L -> B x L or B x (P + L)
  Tensor labels(const Tensor& of_text) const;

  /// From now on only the vectors take gradients; detach() undoes it.
  void train_only();
  bool is_prefix() const { return config_.type == "PREFIX_TUNING"; }
  int64_t count() const { return config_.virtual_tokens; }
  const Tensor& vectors() const { return vectors_; }  ///< P x width, or P x (2 layers heads head width)

 private:
  VirtualTokens(std::shared_ptr<LanguageModel> model, const Json& model_config, PeftConfig config,
                const std::string& name);
  Tokens prompt(int64_t batch) const;

  std::shared_ptr<LanguageModel> model_;
  PeftConfig config_;
  std::string child_;
  PeftFile file_;
  int64_t heads_ = 0;  // of the keys
  Tensor vectors_;
  std::vector<std::pair<Tensor, bool>> trained_;
};

}  // namespace tessera
