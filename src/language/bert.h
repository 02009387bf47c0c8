#pragma once
#include "language/text_encoder.h"
#include "layers/activation.h"
#include "layers/block.h"
#include "layers/linear.h"

namespace tessera {

/// BERT (Devlin et al., 2018) and RoBERTa (Liu et al., 2019): embeddings with norm, post-norm blocks.
struct BertOptions {
  int64_t vocabulary = 30522, dim = 768, depth = 12, heads = 12, ffn = 3072, positions = 512, types = 2;
  std::string activation = "gelu";
  double eps = 1e-12, dropout = 0;
  int64_t padding_id = 0;
  bool positions_follow_padding =
      false;  ///< RoBERTa: real tokens count from padding_id + 1, padding stays at padding_id
};
TESSERA_OPTIONS(BertOptions, vocabulary, dim, depth, heads, ffn, positions, types, activation, eps, dropout, padding_id,
                positions_follow_padding)

class Bert : public TextEncoder {
 public:
  explicit Bert(const BertOptions& options);
  Tokens forward(const TextBatch& text) override;
  int64_t width() const override { return options_.dim; }
  int64_t context() const override {
    return options_.positions - (options_.positions_follow_padding ? options_.padding_id + 1 : 0);
  }

  const std::shared_ptr<Embedding>& words() const { return words_; }

 private:
  BertOptions options_;
  std::shared_ptr<Embedding> words_, positions_, types_;
  std::shared_ptr<Norm> norm_;
  std::shared_ptr<ModuleList<Block>> blocks_;
};

/// Predicts masked tokens: dense, activation, norm, and the word table as the decoder.
class MaskedLanguageModel : public Module {
 public:
  explicit MaskedLanguageModel(const BertOptions& options);
  /// -> logits, B x L x vocabulary
  Tensor forward(const TextBatch& text);
  TextEncoder& encoder() { return *encoder_; }

 private:
  std::shared_ptr<Bert> encoder_;
  std::shared_ptr<Linear> dense_;
  std::shared_ptr<Norm> norm_;
  Activation activation_;
  Tensor bias_;  // vocabulary
};

}  // namespace tessera
