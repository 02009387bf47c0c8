#pragma once
#include "language/language_model.h"
#include "layers/block.h"
#include "layers/cross_attention.h"

namespace tessera {

/// A language model that reads a source before it writes (Vaswani et al., 2017): T5, BART. As a LanguageModel it is its
/// decoder, which goes on from the state that start(source) makes. A model derives from it, appends the layers of its
/// decoder, and brings its encoder, positions and head.
class EncoderDecoder : public LanguageModel {
 public:
  /// The source's ids to its hidden states, B x S x D.
  Tokens encode(const TextBatch& source);
  /// The same for token vectors, as embed() or a bridge makes them.
  virtual Tokens encode_embedded(const Tokens& embedded) = 0;
  /// A decoder that reads this source, as encode() returns it.
  LanguageState start(const Tokens& source);
  /// @throws Error: the decoder reads a source
  LanguageState start() const override;

  /// What the decoder reads to learn these labels: all of them one place later, behind the start token; -100 (no label)
  /// becomes `padding_id`. B x L -> B x L
  Tensor shifted(const Tensor& labels, int64_t padding_id) const;
  /// The token that the decoder begins with.
  virtual int64_t start_id() const = 0;

 protected:
  EncoderDecoder();
  /// A layer of the decoder: self-attention, then attention to the source, then the feed-forward.
  void append_layer(const BlockOptions& block, std::shared_ptr<Mixer> self, const CrossAttentionOptions& reader,
                    std::shared_ptr<FeedForward> ffn);
  /// The layers. @throws Error without a state
  Tokens decode(Tokens tokens, LanguageState* state);

 private:
  std::shared_ptr<ModuleList<Block>> self_,
      cross_;  // layer n is self n and then cross n, which ends in the feed-forward
  std::vector<std::shared_ptr<CrossAttention>> readers_;
};

}  // namespace tessera
