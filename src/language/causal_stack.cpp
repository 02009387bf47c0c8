#include "language/causal_stack.h"

#include "layers/positions.h"

namespace tessera {

CausalStack::CausalStack(const CausalStackOptions& options) : options_(options) {
  const auto& o = options_;
  const int64_t embedding_dim = o.embedding_dim > 0 ? o.embedding_dim : o.dim;
  words_ = add<Embedding>("words", o.vocabulary, embedding_dim, 0.02, o.padding_id);
  if (o.positions > 0) positions_ = add<Embedding>("positions", o.positions + o.position_offset, o.dim);
  if (o.embedding_dim > 0) {
    project_in_ = add<Linear>("project_in", embedding_dim, o.dim, false);
    project_out_ = add<Linear>("project_out", o.dim, embedding_dim, false);
  }
  if (o.embedding_norm) embedding_norm_ = add<Norm>("embedding_norm", o.dim, o.eps, o.norm);
  blocks_ = add<ModuleList<Block>>("blocks");
  if (o.final_norm) norm_ = add<Norm>("norm", o.dim, o.eps, o.norm);
  words_->gives_products = o.tied;
  if (!o.tied) {
    head_ = add<Linear>("head", embedding_dim, o.vocabulary, o.head_bias);
    head_->gives_logits = true;
  }
}

Tensor CausalStack::embed(const Tensor& ids) {
  check_ids(ids, options_.vocabulary, 0);
  const Tensor vectors = words_->forward(ids);
  return options_.embedding_scale == 1 ? vectors : vectors * options_.embedding_scale;
}

Tokens CausalStack::hidden(const Tokens& embedded, LanguageState* state) {
  Tokens tokens = with_positions(embedded, state);
  if (project_in_) tokens.x = project_in_->forward(tokens.x);
  if (positions_) tokens.x = tokens.x + learned_positions(*positions_, tokens.at, options_.position_offset);
  if (options_.sinusoidal) tokens.x = tokens.x + sinusoidal_positions(tokens.at, tokens.x.options(), tokens.x.size(2));
  if (options_.dropout > 0) tokens.x = torch::dropout(tokens.x, options_.dropout, is_training());
  tokens.x = tap(*this, tokens.x, "embed");  // B x L x D
  if (embedding_norm_) tokens.x = embedding_norm_->forward(tokens.x);
  for (size_t i = 0; i < blocks_->size(); ++i)
    tokens = state ? (*blocks_)[i].step(tokens, *state->mixers.at(i)) : (*blocks_)[i].forward(tokens);
  if (norm_) tokens.x = norm_->forward(tokens.x);
  if (project_out_) tokens.x = project_out_->forward(tokens.x);
  return tokens;
}

Tensor CausalStack::logits(const Tensor& hidden) {
  const Tensor scores = head_ ? head_->forward(hidden) : words_->products(hidden);
  const double cap = options_.logit_cap;
  return cap > 0 ? torch::tanh(scores / cap) * cap : scores;
}

LanguageState CausalStack::start() const {
  LanguageState state;
  for (const auto& block : *blocks_) state.mixers.push_back(block->start());
  return state;
}

}  // namespace tessera
