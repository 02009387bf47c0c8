#pragma once
#include "tune/virtual_tokens.h"

namespace tessera {

/// A language model with its virtual tokens as one language model: whatever begins a sequence begins behind them, so
/// that what measures, decodes or trains a LanguageModel needs to know nothing of them.
class Prompted : public LanguageModel {
 public:
  /// @param tokens  attached to this model
  Prompted(std::shared_ptr<LanguageModel> model, VirtualTokens tokens);

  Tensor embed(const Tensor& ids) override { return model_->embed(ids); }
  Tokens hidden(const Tokens& embedded, LanguageState* state) override;
  Tensor logits(const Tensor& hidden) override { return model_->logits(hidden); }
  LanguageState start() const override { return model_->start(); }
  bool outgrown(int64_t seen, int64_t length) const override;
  int64_t width() const override { return model_->width(); }
  int64_t vocabulary() const override { return model_->vocabulary(); }
  /// What the virtual tokens leave.
  int64_t context() const override;

  VirtualTokens& tokens() { return tokens_; }

 private:
  std::shared_ptr<LanguageModel> model_;
  VirtualTokens tokens_;
};

}  // namespace tessera
