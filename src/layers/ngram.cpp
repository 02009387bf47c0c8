#include "layers/ngram.h"

#include "core/error.h"
#include "layers/mixers.h"

namespace tessera {

TESSERA_OPTIONS(NgramMixerOptions, dim, order)

namespace {

const MixerRegistration<NgramMixer, NgramMixerOptions> registration("ngram");

/// The same matrix `rows` lower and `columns` further right, with false where nothing was.
Tensor moved(const Tensor& x, int64_t rows, int64_t columns) {
  return torch::constant_pad_nd(x, {columns, -columns, rows, -rows}, 0);
}

}  // namespace

NgramMixer::NgramMixer(const NgramMixerOptions& options) : RereadingMixer(true), order_(options.order) {
  if (order_ < 1) throw Error("an order of " + std::to_string(order_) + " compares no word", "ngram");
  followers_ = add<Linear>("followers", options.dim, options.dim);
  own_ = add<Linear>("own", options.dim, options.dim);
}

Tensor NgramMixer::mix(const Tokens& tokens) {
  if (!tokens.ids.defined() || tokens.ids.size(1) != tokens.x.size(1))
    throw Error("needs the ids of its words", "ngram", "use it in a language model, which knows them");
  return followers_->forward(induction_head(tokens.x, tokens.ids, order_)) + own_->forward(tokens.x);
}

Tensor induction_head(const Tensor& x, const Tensor& ids, int64_t order, int64_t shift) {
  const Tensor same = ids.unsqueeze(2).eq(ids.unsqueeze(1)) & ids.ge(0).unsqueeze(1);  // B x L x L
  Tensor found = same.to(x.scalar_type()).tril(-1);
  for (int64_t i = 1; i < order; ++i) found = found * moved(same.to(x.scalar_type()), i, i);
  found = moved(found, 0, shift).tril(-1);
  return torch::matmul(found / found.sum(-1, true).clamp_min(1), x);
}

}  // namespace tessera
