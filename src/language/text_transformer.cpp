#include "language/text_transformer.h"

#include "core/error.h"
#include "layers/attention.h"
#include "layers/feed_forward.h"

namespace tessera {

namespace {
const Registration<TextEncoder, TextTransformer, TextTransformerOptions> registration(text_encoders(),
                                                                                      "text-transformer");
}

TextTransformer::TextTransformer(const TextTransformerOptions& options) : options_(options) {
  const auto& o = options_;
  tokens_ = add<Embedding>("tokens", o.vocabulary, o.dim);
  positions_ = weight("positions", {o.context, o.dim}, 0.01);
  blocks_ = add<ModuleList<Block>>("blocks");
  for (int64_t i = 0; i < o.depth; ++i) {
    const AttentionOptions attention{.dim = o.dim, .heads = o.heads, .causal = o.causal};
    blocks_->append(BlockOptions{.dim = o.dim, .eps = o.eps, .dropout = o.dropout},
                    std::make_shared<Attention>(attention), std::make_shared<Mlp>(o.dim, o.ffn, o.activation));
  }
  norm_ = add<Norm>("norm", o.dim, o.eps);
}

Tokens TextTransformer::forward(const TextBatch& text) {
  check_ids(text.ids, options_.vocabulary, options_.context);
  Tokens tokens;
  tokens.x = tap(*this, tokens_->forward(text.ids) + positions_.narrow(0, 0, text.ids.size(1)), "embed");  // B x L x D
  tokens.mask = text.mask;
  for (const auto& block : *blocks_) tokens = block->forward(tokens);
  return tokens.with(norm_->forward(tokens.x));
}

}  // namespace tessera
