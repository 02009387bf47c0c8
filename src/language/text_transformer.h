#pragma once
#include "language/text_encoder.h"
#include "layers/block.h"
#include "layers/linear.h"

namespace tessera {

/// The pre-norm text tower of CLIP (causal) and SigLIP (bidirectional): token table, learned positions, blocks, norm.
struct TextTransformerOptions {
  int64_t vocabulary = 49408, context = 77, dim = 512, depth = 12, heads = 8, ffn = 2048;
  std::string activation = "quick_gelu";
  double eps = 1e-5;
  bool causal = true;
  double dropout = 0;
};

TESSERA_OPTIONS(TextTransformerOptions, vocabulary, context, dim, depth, heads, ffn, activation, eps, causal, dropout)

class TextTransformer : public TextEncoder {
 public:
  explicit TextTransformer(const TextTransformerOptions& options);
  Tokens forward(const TextBatch& text) override;
  int64_t width() const override { return options_.dim; }
  int64_t context() const override { return options_.context; }

 private:
  TextTransformerOptions options_;
  std::shared_ptr<Embedding> tokens_;
  Tensor positions_;  // context x D
  std::shared_ptr<ModuleList<Block>> blocks_;
  std::shared_ptr<Norm> norm_;
};

}  // namespace tessera
