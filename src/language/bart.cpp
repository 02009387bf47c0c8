#include "language/bart.h"

#include <cmath>

#include "layers/attention.h"
#include "layers/feed_forward.h"

namespace tessera {
namespace {

const Registration<LanguageModel, Bart, BartOptions> registration(language_models(), "bart");

BlockOptions block_of(const BartOptions& o) {
  return {.dim = o.dim, .eps = o.eps, .post_norm = true, .dropout = o.dropout};
}

/// The tokens of a sequence with places from its first real token on: 0 for padding before it, and padding after it has
/// places of its own, as in the reference.
Tensor places(const Tokens& tokens) {
  const auto whole = tokens.x.options().dtype(torch::kInt64).requires_grad(false);
  const Tensor all = torch::arange(tokens.x.size(1), whole).unsqueeze(0);  // 1 x L
  if (!tokens.mask.defined()) return all.unsqueeze(-1);
  const Tensor first = tokens.mask.to(torch::kInt64).argmax(1, /*keepdim=*/true);  // B x 1
  return (all - first).clamp_min(0).unsqueeze(-1);
}

}  // namespace

BartEncoder::BartEncoder(const BartOptions& options) : options_(options) {
  const auto& o = options_;
  positions_ = add<Embedding>("positions", o.context + o.position_offset, o.dim);
  norm_ = add<Norm>("norm", o.dim, o.eps);
  blocks_ = add<ModuleList<Block>>("blocks");
  for (int64_t i = 0; i < o.encoder_depth; ++i)
    blocks_->append(block_of(o), std::make_shared<Attention>(AttentionOptions{.dim = o.dim, .heads = o.encoder_heads}),
                    std::make_shared<Mlp>(o.dim, o.encoder_ffn, o.activation));
}

Tokens BartEncoder::forward(Tokens tokens) {
  if (!tokens.at.defined()) tokens.at = places(tokens);
  tokens.x = norm_->forward(tokens.x + learned_positions(*positions_, tokens.at, options_.position_offset));
  if (options_.dropout > 0) tokens.x = torch::dropout(tokens.x, options_.dropout, is_training());
  for (const auto& block : *blocks_) tokens = block->forward(tokens);
  return tokens.with(tap(*this, tokens.x));
}

Bart::Bart(const BartOptions& options) : options_(options) {
  const auto& o = options_;
  words_ = add<Embedding>("words", o.vocabulary, o.dim);
  words_->gives_products = true;
  encoder_ = add<BartEncoder>("encoder", o);
  positions_ = add<Embedding>("positions", o.context + o.position_offset, o.dim);
  norm_ = add<Norm>("norm", o.dim, o.eps);
  for (int64_t i = 0; i < o.decoder_depth; ++i)
    append_layer(block_of(o),
                 std::make_shared<Attention>(AttentionOptions{.dim = o.dim, .heads = o.decoder_heads, .causal = true}),
                 CrossAttentionOptions{.dim = o.dim, .heads = o.decoder_heads},
                 std::make_shared<Mlp>(o.dim, o.decoder_ffn, o.activation));
  if (o.logits_bias) logits_bias_ = register_buffer("logits_bias", torch::zeros({o.vocabulary}));
}

Tensor Bart::embed(const Tensor& ids) {
  check_ids(ids, options_.vocabulary, 0);
  const Tensor words = words_->forward(ids);
  return options_.scaled_words ? words * std::sqrt(static_cast<double>(options_.dim)) : words;
}

Tokens Bart::hidden(const Tokens& embedded, LanguageState* state) {
  Tokens tokens = with_positions(embedded, state);
  tokens.x = norm_->forward(tokens.x + learned_positions(*positions_, tokens.at, options_.position_offset));
  if (options_.dropout > 0) tokens.x = torch::dropout(tokens.x, options_.dropout, is_training());
  return decode(tokens, state);
}

Tensor Bart::logits(const Tensor& hidden) {
  const Tensor logits = words_->products(hidden);
  return logits_bias_.defined() ? logits + logits_bias_ : logits;
}

}  // namespace tessera
