#include "layers/cross_attention.h"

#include <stdexcept>

#include "core/error.h"

namespace tessera {

CrossAttention::CrossAttention(const CrossAttentionOptions& options) : options_(options) {
  const auto& o = options_;
  if (o.heads < 1 || (o.head_dim < 1 && o.dim % o.heads != 0))
    throw Error("width " + std::to_string(o.dim) + " cannot be split into " + std::to_string(o.heads) + " heads",
                "heads");
  if (o.heads % o.groups() != 0)
    throw Error(std::to_string(o.heads) + " heads cannot share " + std::to_string(o.groups()) + " keys and values",
                "kv_heads", "the number of heads is a multiple of it");
  const int64_t inner = o.heads * o.width();
  q_ = add<Linear>("q", o.dim, inner, o.qkv_bias);
  kv_ = add<Linear>("kv", o.source_dim > 0 ? o.source_dim : o.dim, 2 * o.groups() * o.width(), o.qkv_bias);
  proj_ = add<Linear>("proj", inner, o.dim, o.proj_bias);
}

Tensor CrossAttention::split(const Tensor& x, int64_t heads) const {
  return x.view({x.size(0), x.size(1), heads, options_.width()}).transpose(1, 2);  // B x heads x L x d
}

std::shared_ptr<State> CrossAttention::remember(const Tokens& source) {
  const auto both = kv_->forward(source.x).chunk(2, -1);
  return std::make_shared<CrossCache>(
      KeysAndValues{split(both[0], options_.groups()), split(both[1], options_.groups()), source.mask});
}

Tensor CrossAttention::step(const Tokens& tokens, State& state) {
  const KeysAndValues& source = dynamic_cast<CrossCache&>(state).source();
  const int64_t batch = tokens.x.size(0), length = tokens.x.size(1);
  const Tensor q = split(q_->forward(tokens.x), options_.heads);
  const Tensor mixed = attend(*this, q, source.keys, source.values,
                              {.mask = source.mask, .scale = options_.scale});  // B x heads x L x d
  const Tensor context = tap(*this, mixed.transpose(1, 2).reshape({batch, length, -1}), "context");
  return tap(*this, proj_->forward(context));
}

Tensor CrossAttention::forward(const Tokens&) {
  throw std::logic_error("cross-attention reads its source from a state that remember() makes");
}

}  // namespace tessera
