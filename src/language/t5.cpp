#include "language/t5.h"

#include <cmath>

#include "layers/attention.h"
#include "layers/feed_forward.h"

namespace tessera {
namespace {

const Registration<LanguageModel, T5, T5Options> registration(language_models(), "t5");

std::shared_ptr<Attention> attention_of(const T5Options& o, bool causal, std::shared_ptr<RelativeBias> distances) {
  AttentionOptions attention{.dim = o.dim, .heads = o.heads, .qkv_bias = false, .causal = causal};
  attention.head_dim = o.head_dim, attention.proj_bias = false, attention.scale = 1;
  return std::make_shared<Attention>(attention, std::move(distances));
}

std::shared_ptr<FeedForward> ffn_of(const T5Options& o) {
  if (o.gated) return std::make_shared<GatedMlp>(o.dim, o.ffn, o.activation, false);
  return std::make_shared<Mlp>(o.dim, o.ffn, o.activation, o.dim, false);
}

RelativeBiasOptions distances_of(const T5Options& o, bool bidirectional) {
  return {.buckets = o.buckets, .distance = o.distance, .heads = o.heads, .bidirectional = bidirectional};
}

BlockOptions block_of(const T5Options& o) { return {.dim = o.dim, .eps = o.eps, .norm = "rms", .dropout = o.dropout}; }

}  // namespace

T5Encoder::T5Encoder(const T5Options& o) {
  distances_ = add<RelativeBias>("distances", distances_of(o, true));
  blocks_ = add<ModuleList<Block>>("blocks");
  for (int64_t i = 0; i < o.encoder_depth; ++i)
    blocks_->append(block_of(o), attention_of(o, false, distances_), ffn_of(o));
  norm_ = add<Norm>("norm", o.dim, o.eps, "rms");
}

Tokens T5Encoder::forward(Tokens tokens) {
  // As the reference, padding counts: it has a place, and so a distance, of its own.
  if (!tokens.at.defined()) {
    const auto whole = tokens.x.options().dtype(torch::kInt64).requires_grad(false);
    tokens.at = torch::arange(tokens.x.size(1), whole).view({1, -1, 1});
  }
  for (const auto& block : *blocks_) tokens = block->forward(tokens);
  return tokens.with(norm_->forward(tokens.x));
}

T5::T5(const T5Options& options) : options_(options) {
  const auto& o = options_;
  words_ = add<Embedding>("words", o.vocabulary, o.dim);
  encoder_ = add<T5Encoder>("encoder", o);
  distances_ = add<RelativeBias>("distances", distances_of(o, false));
  const CrossAttentionOptions reader{
      .dim = o.dim, .heads = o.heads, .head_dim = o.head_dim, .qkv_bias = false, .proj_bias = false, .scale = 1};
  for (int64_t i = 0; i < o.decoder_depth; ++i)
    append_layer(block_of(o), attention_of(o, true, distances_), reader, ffn_of(o));
  norm_ = add<Norm>("norm", o.dim, o.eps, "rms");
  words_->gives_products = o.tied;
  if (!o.tied) {
    head_ = add<Linear>("head", o.dim, o.vocabulary, false);
    head_->gives_logits = true;
  }
}

Tensor T5::embed(const Tensor& ids) {
  check_ids(ids, options_.vocabulary, 0);
  return words_->forward(ids);
}

Tokens T5::encode_embedded(const Tokens& embedded) { return encoder_->forward(embedded); }

Tokens T5::hidden(const Tokens& embedded, LanguageState* state) {
  const Tokens tokens = decode(with_positions(embedded, state), state);
  return tokens.with(norm_->forward(tokens.x));
}

Tensor T5::logits(const Tensor& hidden) {
  if (head_) return head_->forward(hidden);
  return words_->products(hidden / std::sqrt(static_cast<double>(options_.dim)));
}

}  // namespace tessera
