#include "layers/block.h"

#include "layers/grid.h"
#include "layers/recompute.h"

namespace tessera {

Block::Block(const BlockOptions& options, std::shared_ptr<Mixer> mixer, std::shared_ptr<FeedForward> ffn)
    : options_(options) {
  const auto& o = options_;
  const ConvolutionOptions depthwise{.in = o.dim,
                                     .out = o.dim,
                                     .kernel_height = o.position_kernel,
                                     .kernel_width = o.position_kernel,
                                     .padding = o.position_kernel / 2,
                                     .groups = o.dim};
  if (mixer) {
    if (o.position_kernel > 0) position1_ = add<Convolution>("position1", depthwise);
    norm1_ = add<Norm>("norm1", o.dim, o.eps, o.norm);
    mixer_ = register_module("attention", std::move(mixer));
    if (o.sandwich_norm) after1_ = add<Norm>("after1", o.dim, o.eps, o.norm);
    if (o.layer_scale > 0) scale1_ = register_parameter("scale1", torch::full({o.dim}, o.layer_scale));
  }
  if (ffn) {
    if (o.position_kernel > 0) position2_ = add<Convolution>("position2", depthwise);
    norm2_ = o.one_norm && mixer_ ? norm1_ : add<Norm>("norm2", o.dim, o.eps, o.norm);
    ffn_ = register_module("ffn", std::move(ffn));
    if (o.layer_scale > 0) scale2_ = register_parameter("scale2", torch::full({o.dim}, o.layer_scale));
    if (o.sandwich_norm) after2_ = add<Norm>("after2", o.dim, o.eps, o.norm);
  }
}

Tokens Block::run(const Tokens& tokens, State* state) {
  if (!state && Recomputation::active())
    return tokens.with(recomputed(
        *this, [this, rest = tokens.with({})](const Tensor& x) { return run(rest.with(x), nullptr).x; }, tokens.x));
  Tokens result = tokens;
  if (mixer_) {
    if (position1_) result = add_convolved(result, *position1_);
    result.x = mixed(result, state);
    if (ffn_) result.x = tap(*this, result.x, "mixed");
  }
  if (ffn_) {
    if (position2_) result = add_convolved(result, *position2_);
    result.x = transformed(result.x);
  }
  return result.with(tap(*this, result.x));
}

Tensor Block::mixed(const Tokens& tokens, State* state) {
  const Tensor& x = tokens.x;
  const Tokens read = options_.post_norm ? tokens : tokens.with(norm1_->forward(x, mixer_->input_type()));
  const auto mix = [&] { return state ? mixer_->step(read, *state) : mixer_->forward(read); };
  const Tensor sum =
      is_plain(after1_.get(), scale1_) ? mixer_->onto(x, read, state) : x + branch(mix(), after1_.get(), scale1_);
  return options_.post_norm ? norm1_->forward(sum) : sum;
}

Tensor Block::transformed(const Tensor& x) {
  const Tensor read = options_.post_norm ? x : norm2_->forward(x, ffn_->input_type());
  const Tensor sum =
      is_plain(after2_.get(), scale2_) ? ffn_->onto(x, read) : x + branch(ffn_->forward(read), after2_.get(), scale2_);
  return options_.post_norm ? norm2_->forward(sum) : sum;
}

/// Whether a branch is added as it is.
bool Block::is_plain(const Norm* after, const Tensor& scale) const {
  return !after && !scale.defined() && (!is_training() || (options_.dropout == 0 && options_.drop_path == 0));
}

Tensor Block::branch(const Tensor& y, Norm* after, const Tensor& scale) {
  Tensor result = after ? after->forward(y) : y;
  if (scale.defined()) result = result * scale;
  if (options_.dropout > 0) result = torch::dropout(result, options_.dropout, is_training());
  return drop_path(result, options_.drop_path, is_training());
}

Tokens add_convolved(const Tokens& tokens, Convolution& convolution) {
  const Tensor map = as_map(tokens);  // B x D x h x w
  return with_map(tokens, map + convolution.forward(map));
}

Tensor drop_path(const Tensor& x, double probability, bool training) {
  if (!training || probability <= 0) return x;
  std::vector<int64_t> shape(static_cast<size_t>(x.dim()), 1);
  shape[0] = x.size(0);
  const Tensor kept = torch::empty(shape, x.options()).bernoulli_(1 - probability);
  return x * kept / (1 - probability);
}

}  // namespace tessera
