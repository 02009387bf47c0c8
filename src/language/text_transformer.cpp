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

void check_ids(const Tensor& ids, int64_t vocabulary, int64_t context) {
  if (ids.dim() != 2) throw Error("ids are B x L", "text");
  if (context > 0 && ids.size(1) > context)
    throw Error(std::to_string(ids.size(1)) + " tokens do not fit into the context of " + std::to_string(context),
                "text", "shorten the text or ask for truncation");
  if (ids.numel() == 0) return;
  const int64_t highest = ids.max().item<int64_t>(), lowest = ids.min().item<int64_t>();
  if (lowest < 0 || highest >= vocabulary)
    throw Error("id " + std::to_string(lowest < 0 ? lowest : highest) + " is outside the vocabulary of " +
                    std::to_string(vocabulary),
                "text", "the tokenizer and the model do not belong together");
}

}  // namespace tessera
