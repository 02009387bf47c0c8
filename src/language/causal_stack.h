#pragma once
#include "language/language_model.h"
#include "layers/block.h"
#include "layers/linear.h"

namespace tessera {

struct CausalStackOptions {
  int64_t vocabulary = 50257, dim = 768;
  int64_t embedding_dim = 0;    ///< of the token table, with projections to dim and back (OPT); 0: dim, no projections
  int64_t positions = 0;        ///< learned positions; 0: none
  int64_t position_offset = 0;  ///< rows of the position table before the first position (OPT)
  int64_t context = 0;          ///< see LanguageModel::context()
  std::string norm = "layer";
  double eps = 1e-5;
  bool final_norm = true;
  bool tied = true;             ///< the logits are products with the token table
  double embedding_scale = 1;   ///< of the token vectors (Gemma)
  double logit_cap = 0;         ///< bounds the logits: cap tanh(x / cap) (Gemma 2); 0: does not
  int64_t padding_id = -1;      ///< a token whose vector learns nothing from being read; -1: none
  double dropout = 0;           ///< of the embeddings, while training
  bool sinusoidal = false;      ///< fixed positions (Vaswani et al., 2017), see sinusoidal_positions()
  bool embedding_norm = false;  ///< a norm before the blocks (RWKV)
  bool head_bias = false;
};

/// What causal language models have in common, whatever their blocks mix with: token table, learned positions, blocks,
/// norm, head. A model derives from it and appends its blocks.
class CausalStack : public LanguageModel {
 public:
  explicit CausalStack(const CausalStackOptions& options);
  Tensor embed(const Tensor& ids) override;
  Tokens hidden(const Tokens& embedded, LanguageState* state) override;
  Tensor logits(const Tensor& hidden) override;
  LanguageState start() const override;
  int64_t width() const override { return words_->weight.size(1); }
  int64_t vocabulary() const override { return options_.vocabulary; }
  int64_t context() const override { return options_.context; }

 protected:
  ModuleList<Block>& blocks() { return *blocks_; }

 private:
  CausalStackOptions options_;
  std::shared_ptr<Embedding> words_, positions_;
  std::shared_ptr<Linear> project_in_, project_out_, head_;
  std::shared_ptr<ModuleList<Block>> blocks_;
  std::shared_ptr<Norm> embedding_norm_, norm_;
};

}  // namespace tessera
