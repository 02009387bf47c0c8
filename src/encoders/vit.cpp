#include "encoders/vit.h"

#include "core/error.h"
#include "layers/attention.h"
#include "layers/feed_forward.h"
#include "layers/positions.h"

namespace tessera {

namespace {

const Registration<Encoder, Vit, VitOptions> registration(encoders(), "vit");

void check(const VitOptions& o) {
  if (o.image.size() != 2 || o.patch.size() != 2) throw Error("image and patch are [height, width]", "vit");
  for (size_t axis = 0; axis < 2; ++axis)
    if (o.patch[axis] < 1 || o.image[axis] < o.patch[axis])
      throw Error("the patch must be at least one pixel and no larger than the image", "vit");
}

}  // namespace

std::shared_ptr<ModuleList<Block>> vit_blocks(const VitOptions& o) {
  auto blocks = std::make_shared<ModuleList<Block>>();
  for (int64_t i = 0; i < o.depth; ++i) {
    const double rising = o.depth > 1 ? o.drop_path * static_cast<double>(i) / static_cast<double>(o.depth - 1) : 0;
    const BlockOptions block{
        .dim = o.dim, .eps = o.eps, .layer_scale = o.layer_scale, .drop_path = rising, .dropout = o.dropout};
    const AttentionOptions attention{.dim = o.dim,
                                     .heads = o.heads,
                                     .qkv_bias = o.qkv_bias,
                                     .key_bias = o.key_bias,
                                     .qk_norm = o.qk_norm,
                                     .eps = o.eps};
    blocks->append(block, std::make_shared<Attention>(attention), std::make_shared<Mlp>(o.dim, o.ffn, o.activation));
  }
  return blocks;
}

Vit::Vit(const VitOptions& options) : options_(options) {
  const auto& o = options_;
  check(o);
  trained_ = {o.image[0] / o.patch[0], o.image[1] / o.patch[1]};
  patch_ = add<Convolution>("patch", ConvolutionOptions{.in = o.channels,
                                                        .out = o.dim,
                                                        .kernel_height = o.patch[0],
                                                        .kernel_width = o.patch[1],
                                                        .stride_height = o.patch[0],
                                                        .stride_width = o.patch[1],
                                                        .bias = o.patch_bias});
  if (o.class_token) class_token_ = weight("class_token", {1, 1, o.dim});
  if (o.registers > 0) registers_ = weight("registers", {1, o.registers, o.dim});
  prefix_ = o.registers + (o.class_token ? 1 : 0);
  const int64_t rows = trained_[0] * trained_[1] + (o.prefix_positions ? prefix_ : 0);
  positions_ = weight("positions", {1, rows, o.dim});
  if (o.fixed_positions) {
    torch::NoGradGuard no_grad;
    positions_.requires_grad_(false).zero_();
    positions_.narrow(1, rows - trained_[0] * trained_[1], trained_[0] * trained_[1])
        .copy_(sine_cosine_positions(trained_[0], trained_[1], o.dim).unsqueeze(0));
  }
  if (o.pre_norm) pre_norm_ = add<Norm>("pre_norm", o.dim, o.eps);
  blocks_ = register_module("blocks", vit_blocks(o));
  if (o.final_norm) norm_ = add<Norm>("norm", o.dim, o.eps);
}

Tokens Vit::forward(const Tensor& pixels) { return encode(embed(pixels)); }

Tokens Vit::embed_patches(const Tensor& pixels) {
  if (pixels.dim() != 4 || pixels.size(1) != options_.channels)
    throw Error("pixels are B x " + std::to_string(options_.channels) + " x H x W", "vit");
  if (pixels.size(2) < options_.patch[0] || pixels.size(3) < options_.patch[1])
    throw Error("the picture is smaller than one patch", "vit");
  const Tensor map = patch_->forward(pixels);  // B x D x h x w
  Tokens tokens;
  tokens.grid = {map.size(2), map.size(3)};
  const int64_t prefix_rows = options_.prefix_positions ? prefix_ : 0;
  const Tensor table = resample_positions(positions_, prefix_rows, trained_, tokens.grid, options_.antialias_positions);
  const Tensor patches = tap(*this, map.flatten(2).transpose(1, 2), "patches");  // B x h*w x D
  tokens.x = patches + table.narrow(1, prefix_rows, table.size(1) - prefix_rows);
  return tokens;
}

Tokens Vit::prepend_prefix(const Tokens& patches) {
  if (prefix_ == 0) return patches;
  std::vector<Tensor> learned;
  for (const Tensor& tokens : {class_token_, registers_})
    if (tokens.defined()) learned.push_back(tokens);
  Tensor prefix = torch::cat(learned, 1);  // 1 x prefix x D
  if (options_.prefix_positions) prefix = prefix + positions_.narrow(1, 0, prefix_);
  Tokens tokens = patches.with(torch::cat({prefix.expand({patches.x.size(0), -1, -1}), patches.x}, 1));
  tokens.prefix = prefix_;
  return tokens;
}

Tokens Vit::embed(const Tensor& pixels) {
  Tokens tokens = prepend_prefix(embed_patches(pixels));
  tap(*this, tokens.x, "embed");
  return pre_norm_ ? tokens.with(pre_norm_->forward(tokens.x)) : tokens;
}

Tokens Vit::encode(Tokens tokens) {
  for (const auto& block : *blocks_) tokens = block->forward(tokens);
  return norm_ ? tokens.with(norm_->forward(tokens.x)) : tokens;
}

}  // namespace tessera
