#include "encoders/vit.h"

#include <algorithm>

#include "core/error.h"
#include "layers/feed_forward.h"
#include "layers/mixers.h"
#include "layers/positions.h"

namespace tessera {

namespace {

const Registration<Encoder, Vit, VitOptions> registration(encoders(), "vit");

void check(const VitOptions& o) {
  if (o.image.size() != 2 || o.patch.size() != 2) throw Error("image and patch are [height, width]", "vit");
  for (size_t axis = 0; axis < 2; ++axis)
    if (o.patch[axis] < 1 || o.image[axis] < o.patch[axis])
      throw Error("the patch must be at least one pixel and no larger than the image", "vit");
  if (!o.stride.empty() && (o.stride.size() != 2 || o.stride[0] < 1 || o.stride[1] < 1))
    throw Error("stride is [rows, columns], each at least one pixel", "vit");
  for (const int64_t layer : o.features)
    if (layer < 0 || layer > o.depth)
      throw Error("there is no output of " + std::to_string(layer) + " of " + std::to_string(o.depth) + " blocks",
                  "vit: features");
}

}  // namespace

namespace {

std::shared_ptr<Mixer> mixer_of(const VitOptions& o, const VitParts& parts, int64_t layer) {
  if (parts.mixer) return parts.mixer();
  const Json backbone = {{"dim", o.dim},         {"heads", o.heads}, {"qkv_bias", o.qkv_bias}, {"key_bias", o.key_bias},
                         {"qk_norm", o.qk_norm}, {"eps", o.eps},     {"scale", o.scale}};
  const Json chosen = o.mixer.is_null() ? Json{{"kind", "attention"}} : o.mixer;
  return mixers().make_part(chosen, backbone, layer, "vit: mixer");
}

std::shared_ptr<FeedForward> feed_forward_of(const VitOptions& o, const VitParts& parts, int64_t layer) {
  if (parts.feed_forward) return parts.feed_forward();
  if (o.feed_forward.is_null()) return std::make_shared<Mlp>(o.dim, o.ffn, o.activation);
  const Json backbone = {{"dim", o.dim}, {"hidden", o.ffn}, {"eps", o.eps}};
  return feed_forwards().make_part(o.feed_forward, backbone, layer, "vit: feed_forward");
}

}  // namespace

std::shared_ptr<ModuleList<Block>> vit_blocks(const VitOptions& o, const VitParts& parts) {
  auto blocks = std::make_shared<ModuleList<Block>>();
  for (int64_t i = 0; i < o.depth; ++i) {
    const double rising = o.depth > 1 ? o.drop_path * static_cast<double>(i) / static_cast<double>(o.depth - 1) : 0;
    const BlockOptions block{.dim = o.dim,
                             .eps = o.eps,
                             .norm = o.norm,
                             .layer_scale = o.layer_scale,
                             .drop_path = rising,
                             .dropout = o.dropout,
                             .one_norm = o.one_norm};
    blocks->append(block, mixer_of(o, parts, i), feed_forward_of(o, parts, i));
  }
  return blocks;
}

Vit::Vit(const VitOptions& options, const VitParts& parts) : options_(options) {
  const auto& o = options_;
  check(o);
  if (options_.stride.empty()) options_.stride = o.patch;
  if (parts.patches)
    patches_ = register_module("patches", parts.patches);
  else
    patch_ = add<Convolution>("patch", ConvolutionOptions{.in = o.channels,
                                                          .out = o.dim,
                                                          .kernel_height = o.patch[0],
                                                          .kernel_width = o.patch[1],
                                                          .stride_height = o.stride[0],
                                                          .stride_width = o.stride[1],
                                                          .bias = o.patch_bias});
  trained_ = layout(o.image[0], o.image[1]).grid;
  if (o.class_token) class_token_ = weight("class_token", {1, 1, o.dim});
  if (o.registers > 0) registers_ = weight("registers", {1, o.registers, o.dim});
  suffix_ = o.class_token && o.class_token_last ? 1 : 0;
  prefix_ = o.registers + (o.class_token ? 1 : 0) - suffix_;
  const int64_t rows = trained_[0] * trained_[1] + (o.prefix_positions ? prefix_ + suffix_ : 0);
  if (o.positions) positions_ = weight("positions", {1, rows, o.dim});
  if (o.positions && o.fixed_positions) {
    torch::NoGradGuard no_grad;
    positions_.requires_grad_(false).zero_();
    positions_.narrow(1, rows - trained_[0] * trained_[1], trained_[0] * trained_[1])
        .copy_(sine_cosine_positions(trained_[0], trained_[1], o.dim).unsqueeze(0));
  }
  if (o.pre_norm) pre_norm_ = add<Norm>("pre_norm", o.dim, o.eps, o.norm);
  blocks_ = register_module("blocks", vit_blocks(o, parts));
  if (o.final_norm) norm_ = add<Norm>("norm", o.dim, o.final_eps > 0 ? o.final_eps : o.eps, o.norm);
}

int64_t Vit::width() const {
  return options_.dim * std::max<int64_t>(static_cast<int64_t>(options_.features.size()), 1);
}

Encoder::Layout Vit::layout(int64_t height, int64_t width) const {
  const auto& o = options_;
  if (patches_)
    return {.grid = {patches_->extent(height), patches_->extent(width)}, .prefix = prefix_, .suffix = suffix_};
  const auto extent = [&](int64_t pixels, size_t axis) {
    return pixels < o.patch[axis] ? 0 : (pixels - o.patch[axis]) / o.stride[axis] + 1;
  };
  return {.grid = {extent(height, 0), extent(width, 1)}, .prefix = prefix_, .suffix = suffix_};
}

Tokens Vit::forward(const Tensor& pixels, const Tensor& real) {
  if (patches_ && real.defined()) return Encoder::forward(pixels, real);  // what overlaps cannot be left out
  return encode(embed(pixels, real));
}

namespace {

/// B x H x W, true where a pixel is real -> B x h*w, true where every pixel of the patch is.
Tensor whole_patches(const Tensor& real, const std::vector<int64_t>& patch, const std::vector<int64_t>& stride) {
  const Tensor missing = real.to(torch::kBool).logical_not().to(torch::kFloat32).unsqueeze(1);
  return torch::max_pool2d(missing, patch, stride).squeeze(1).flatten(1).eq(0);
}

/// The row of a table with `rows` rows at the same fraction as each of `extent` places, of which the first `count` are
/// the picture's (B): B x extent. Places beyond take row 0.
Tensor rows_at(const Tensor& count, int64_t extent, int64_t rows) {
  const Tensor place = torch::arange(extent, torch::kInt64).to(count.device()).unsqueeze(0);  // 1 x extent
  const Tensor row = torch::floor_divide(place * rows, count.clamp_min(1).unsqueeze(1));
  return row.masked_fill(place.ge(count.unsqueeze(1)), 0);
}

}  // namespace

Tensor Vit::positions_of(const Tokens& patches) {
  const int64_t before = options_.prefix_positions ? prefix_ : 0;
  if (!options_.fractional_positions) {
    const int64_t grid = trained_[0] * trained_[1];  // what stands behind it belongs to the suffix
    return resample_positions(positions_.narrow(1, before, grid), 0, trained_, patches.grid,
                              options_.antialias_positions);
  }
  const int64_t batch = patches.x.size(0), height = patches.grid[0], width = patches.grid[1];
  const auto whole = patches.x.options().dtype(torch::kInt64).requires_grad(false);
  Tensor rows = torch::full({batch}, height, whole), columns = torch::full({batch}, width, whole);
  const Tensor real = patches.mask.defined() ? patches.mask.view({batch, height, width}) : Tensor();
  if (real.defined()) rows = real.select(2, 0).sum(1), columns = real.select(1, 0).sum(1);
  Tensor at = rows_at(rows, height, trained_[0]).unsqueeze(2) * trained_[1] +
              rows_at(columns, width, trained_[1]).unsqueeze(1);  // B x h x w
  if (real.defined()) at = at.masked_fill(real.logical_not(), 0);
  return torch::embedding(positions_.squeeze(0), at.flatten(1) + before);
}

Tokens Vit::patches(const Tensor& pixels, const Tensor& real) {
  if (pixels.dim() != 4 || pixels.size(1) != options_.channels)
    throw Error("pixels are B x " + std::to_string(options_.channels) + " x H x W", "vit");
  const Grid grid = layout(pixels.size(2), pixels.size(3)).grid;
  if (grid[0] < 1 || grid[1] < 1) throw Error("the picture is smaller than one patch", "vit");
  if (real.defined() && patches_) throw Error("patches that overlap cannot leave pixels out", "vit");
  const Tensor map = patches_ ? patches_->forward(pixels) : patch_->forward(pixels);  // B x D x h x w
  Tokens tokens;
  tokens.grid = {map.size(2), map.size(3)};
  if (real.defined()) tokens.mask = whole_patches(real, options_.patch, options_.stride);
  tokens.x = tap(*this, map.flatten(2).transpose(1, 2), "patches");  // B x h*w x D
  return tokens;
}

Tokens Vit::positioned(const Tokens& patches) {
  return positions_.defined() ? patches.with(patches.x + positions_of(patches)) : patches;
}

Tokens Vit::prepend_prefix(const Tokens& patches) {
  if (prefix_ == 0) return patches;
  std::vector<Tensor> learned;
  for (const Tensor& tokens : {suffix_ > 0 ? Tensor() : class_token_, registers_})
    if (tokens.defined()) learned.push_back(tokens);
  Tensor prefix = torch::cat(learned, 1);  // 1 x prefix x D
  if (positions_.defined() && options_.prefix_positions) prefix = prefix + positions_.narrow(1, 0, prefix_);
  Tokens tokens = patches.with(torch::cat({prefix.expand({patches.x.size(0), -1, -1}), patches.x}, 1));
  tokens.prefix = prefix_;
  if (tokens.mask.defined()) tokens.mask = torch::constant_pad_nd(tokens.mask, {prefix_, 0}, true);
  return tokens;
}

Tokens Vit::append_suffix(const Tokens& before) {
  if (suffix_ == 0) return before;
  Tensor last = class_token_;  // 1 x 1 x D
  if (positions_.defined() && options_.prefix_positions)
    last = last + positions_.narrow(1, positions_.size(1) - suffix_, suffix_);
  Tokens tokens = before.with(torch::cat({before.x, last.expand({before.x.size(0), -1, -1})}, 1));
  tokens.suffix = suffix_;
  if (tokens.mask.defined()) tokens.mask = torch::constant_pad_nd(tokens.mask, {0, suffix_}, true);
  return tokens;
}

Tokens Vit::embed(const Tensor& pixels, const Tensor& real) {
  Tokens tokens = append_suffix(prepend_prefix(embed_patches(pixels, real)));
  tap(*this, tokens.x, "embed");
  return pre_norm_ ? tokens.with(pre_norm_->forward(tokens.x)) : tokens;
}

Tokens Vit::encode(Tokens tokens) {
  const auto& wanted = options_.features;
  const auto last =
      wanted.empty() ? blocks_->size() : static_cast<size_t>(*std::max_element(wanted.begin(), wanted.end()));
  std::vector<Tensor> outputs = {tokens.x};
  for (size_t i = 0; i < last; ++i) {
    tokens = (*blocks_)[i].forward(tokens);
    if (!wanted.empty()) outputs.push_back(tokens.x);
  }
  if (wanted.empty()) return norm_ ? tokens.with(norm_->forward(tokens.x)) : tokens;
  std::vector<Tensor> chosen;
  for (const int64_t layer : wanted) chosen.push_back(outputs[static_cast<size_t>(layer)]);
  return tokens.with(torch::cat(chosen, -1));
}

}  // namespace tessera
