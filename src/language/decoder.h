#pragma once
#include "language/causal_stack.h"
#include "layers/rotary.h"

namespace tessera {

/// The causal transformer decoder: GPT-2, OPT, LLaMA and its relatives, Phi-3 are values of these options and names.
struct DecoderOptions {
  int64_t vocabulary = 50257, dim = 768, depth = 12, heads = 12, ffn = 3072, context = 1024;
  int64_t kv_heads = 0, head_dim = 0;  ///< see AttentionOptions
  int64_t embedding_dim = 0;           ///< see CausalStackOptions
  std::string positions = "learned";   ///< learned, sinusoidal, rotary, alibi, none
  int64_t position_offset = 0;         ///< of the learned ones
  RotaryOptions rotary;
  std::vector<int64_t> windows = {};  ///< of each layer, 0: none; empty: no layer has one
  double scale = 0;                   ///< of the scores; 0: 1 / sqrt(head_dim)
  bool scale_by_layer = false;        ///< divides the scores of layer i by i + 1 as well
  std::string activation = "gelu_new";
  bool gated = false;  ///< GatedMlp instead of Mlp
  std::string norm = "layer";
  double eps = 1e-5;
  bool post_norm = false;  ///< see BlockOptions; no norm after the last block then
  bool qkv_bias = true, proj_bias = true, ffn_bias = true;
  bool tied = true;
  bool sandwich_norm = false;                 ///< see BlockOptions
  double attention_cap = 0;                   ///< see AttentionOptions
  double embedding_scale = 1, logit_cap = 0;  ///< see CausalStackOptions
  int64_t padding_id = -1;                    ///< likewise
  double dropout = 0;                         ///< of the embeddings and the branches, while training
  bool final_norm = true;                     ///< a norm after the last block; with post_norm there is none
  bool embedding_norm = false;                ///< see CausalStackOptions
  bool head_bias = false;                     ///< of a head that is not tied
  Json mixer = {};                            ///< of mixers(), or a list that the blocks take in turn; null: attention
  Json feed_forward = {};                     ///< of feed_forwards(), likewise; null: as `gated` says
};
TESSERA_OPTIONS(DecoderOptions, vocabulary, dim, depth, heads, ffn, context, kv_heads, head_dim, embedding_dim,
                positions, position_offset, rotary, windows, scale, scale_by_layer, activation, gated, norm, eps,
                post_norm, qkv_bias, proj_bias, ffn_bias, tied, sandwich_norm, attention_cap, embedding_scale,
                logit_cap, padding_id, dropout, final_norm, embedding_norm, head_bias, mixer, feed_forward)

class Decoder : public CausalStack {
 public:
  explicit Decoder(const DecoderOptions& options);
  bool outgrown(int64_t seen, int64_t length) const override;

 private:
  int64_t original_length_ = 0;  // where LongRoPE changes its factors; 0: nowhere
};

}  // namespace tessera
