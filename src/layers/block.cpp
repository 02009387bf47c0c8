#include "layers/block.h"

namespace tessera {

Block::Block(const BlockOptions& options, std::shared_ptr<Mixer> mixer, std::shared_ptr<FeedForward> ffn)
    : options_(options) {
  const auto& o = options_;
  norm1_ = add<Norm>("norm1", o.dim, o.eps, o.norm);
  mixer_ = register_module("attention", std::move(mixer));
  if (ffn) {
    norm2_ = add<Norm>("norm2", o.dim, o.eps, o.norm);
    ffn_ = register_module("ffn", std::move(ffn));
  }
  if (o.sandwich_norm) {
    after1_ = add<Norm>("after1", o.dim, o.eps, o.norm);
    if (ffn_) after2_ = add<Norm>("after2", o.dim, o.eps, o.norm);
  }
  if (o.layer_scale > 0) {
    scale1_ = register_parameter("scale1", torch::full({o.dim}, o.layer_scale));
    if (ffn_) scale2_ = register_parameter("scale2", torch::full({o.dim}, o.layer_scale));
  }
}

Tokens Block::run(const Tokens& tokens, State* state) {
  Tensor x = tokens.x;
  if (options_.post_norm)
    x = norm1_->forward(x + branch(mix(tokens, state), after1_.get(), scale1_));
  else
    x = x + branch(mix(tokens.with(norm1_->forward(x)), state), after1_.get(), scale1_);
  if (ffn_) {
    x = tap(*this, x, "mixed");
    x = options_.post_norm ? norm2_->forward(x + branch(ffn_->forward(x), after2_.get(), scale2_))
                           : x + branch(ffn_->forward(norm2_->forward(x)), after2_.get(), scale2_);
  }
  return tokens.with(tap(*this, x));
}

Tensor Block::mix(const Tokens& tokens, State* state) {
  return state ? mixer_->step(tokens, *state) : mixer_->forward(tokens);
}

Tensor Block::branch(const Tensor& y, Norm* after, const Tensor& scale) {
  Tensor result = after ? after->forward(y) : y;
  if (scale.defined()) result = result * scale;
  if (options_.dropout > 0) result = torch::dropout(result, options_.dropout, is_training());
  return drop_path(result, options_.drop_path, is_training());
}

Tensor drop_path(const Tensor& x, double probability, bool training) {
  if (!training || probability <= 0) return x;
  std::vector<int64_t> shape(static_cast<size_t>(x.dim()), 1);
  shape[0] = x.size(0);
  const Tensor kept = torch::empty(shape, x.options()).bernoulli_(1 - probability);
  return x * kept / (1 - probability);
}

}  // namespace tessera
