#include "encoders/resnas.h"

#include <algorithm>

#include "core/error.h"
#include "encoders/pyramid.h"
#include "layers/attention.h"
#include "layers/feed_forward.h"
#include "layers/grid.h"
#include "layers/positions.h"
#include "layers/variation.h"

namespace tessera {
namespace {

const Registration<Encoder, Resnas, ResnasOptions> registration(encoders(), "vit-resnas");

constexpr double kEps = 1e-6;

/// Zeros behind the channels, up to `out`.
Tensor widened(const Tensor& x, int64_t out) {  // B x L x C -> B x L x out
  return torch::constant_pad_nd(x, {0, out - x.size(-1)});
}

}  // namespace

ConvolutionalPatches::ConvolutionalPatches(int64_t channels, int64_t middle, int64_t dim) {
  first_ = add<ConvolutionNorm>("first", channels, middle, 3, 2);
  second_ = add<ConvolutionNorm>("second", middle, middle, 3);
  third_ = add<ConvolutionNorm>("third", middle, middle, 3);
  constexpr int64_t kernel = kResnasPatch / 2;
  proj_ = add<Convolution>("proj", ConvolutionOptions{.in = middle,
                                                      .out = dim,
                                                      .kernel_height = kernel,
                                                      .kernel_width = kernel,
                                                      .stride_height = kernel,
                                                      .stride_width = kernel});
}

Tensor ConvolutionalPatches::forward(const Tensor& map) {
  const Tensor x = first_->forward(map);
  return proj_->forward(x + third_->forward(second_->forward(x)));
}

int64_t ConvolutionalPatches::extent(int64_t before) const { return (before + 1) / 2 / (kResnasPatch / 2); }

SpatialReduction::SpatialReduction(const SpatialReductionOptions& options) : options_(options) {
  const auto& o = options_;
  norm_ = add<Norm>("norm", o.dim, kEps);
  convolution_ = add<Convolution>(
      "convolution",
      ConvolutionOptions{.in = o.dim, .out = o.out, .stride_height = 2, .stride_width = 2, .padding = 1});
  token_ = add<Linear>("token", o.dim, o.out);
  positions_ = weight("positions", {1, o.grid[0] * o.grid[1], o.out});
}

Tokens SpatialReduction::forward(const Tokens& tokens) {
  const Tokens normed = tokens.with(norm_->forward(tokens.x));
  Tokens after = as_tokens(convolution_->forward(as_map(normed)));  // B x h*w x out
  after.x = after.x + resample_positions(positions_, 0, options_.grid, after.grid);
  Tensor prefix = token_->forward(normed.x.narrow(1, 0, tokens.prefix));  // B x prefix x out
  if (options_.residual) {
    const Tensor means = torch::avg_pool2d(as_map(tokens), 2, 2, 0, /*ceil_mode=*/true);
    after.x = after.x + widened(means.flatten(2).transpose(1, 2), options_.out);
    prefix = prefix + widened(tokens.x.narrow(1, 0, tokens.prefix), options_.out);
  }
  after.x = torch::cat({prefix, after.x}, 1);
  after.x = tap(*this, vary(*this, tokens.x, after.x, {}));
  after.prefix = tokens.prefix;
  return after;
}

Resnas::Resnas(const ResnasOptions& options)
    : options_(options), definition_(read_definition(options.network_def, "vit-resnas: network_def")) {
  const auto& o = options_;
  const int64_t dim = definition_.dim, prefix = o.distillation ? 2 : 1;
  if (o.image.size() != 2) throw Error("image is [height, width]", "vit-resnas");
  for (const int64_t side : o.image) trained_.push_back(patch_extent(definition_, side));
  if (std::min(trained_[0], trained_[1]) < 1)
    throw Error("the image must be at least " + std::to_string(kResnasPatch) + " pixels high and wide", "vit-resnas");
  if (definition_.middle > 0)
    patches_ = add<ConvolutionalPatches>("patches", o.channels, definition_.middle, dim);
  else
    patch_ = add<Convolution>("patch", ConvolutionOptions{.in = o.channels,
                                                          .out = dim,
                                                          .kernel_height = kResnasPatch,
                                                          .kernel_width = kResnasPatch,
                                                          .stride_height = kResnasPatch,
                                                          .stride_width = kResnasPatch});
  tokens_ = weight("tokens", {1, prefix, dim});
  positions_ = weight("positions", {1, prefix + trained_[0] * trained_[1], dim});
  add_layers();
  norm_ = add<Norm>("norm", definition_.width(), kEps);
}

void Resnas::add_layers() {
  const auto& layers = definition_.layers;
  auto list = add<ModuleList<Module>>("blocks");
  const auto count = std::count_if(layers.begin(), layers.end(), [](const auto& layer) { return !layer.reduces; });
  int64_t index = 0;
  Grid grid = trained_;
  for (const ResnasLayer& layer : layers) {
    Layer made;
    const double drop_path = layer.reduces ? 0 : rising(options_.drop_path, index++, count);
    if (layer.reduces) {
      for (int64_t& extent : grid) extent = reduced_extent(extent);
      made.reduction = std::make_shared<SpatialReduction>(SpatialReductionOptions{
          .dim = layer.dim, .out = layer.out, .grid = grid, .residual = options_.residual_reduction});
      list->append(std::static_pointer_cast<Module>(made.reduction));
    } else if (layer.exists) {
      made.block = std::make_shared<Block>(BlockOptions{.dim = layer.dim, .eps = kEps, .drop_path = drop_path},
                                           std::make_shared<Attention>(AttentionOptions{
                                               .dim = layer.dim, .heads = layer.heads, .head_dim = layer.head_dim}),
                                           std::make_shared<Mlp>(layer.dim, layer.hidden, "gelu"));
      list->append(std::static_pointer_cast<Module>(made.block));
    } else {
      list->append(std::make_shared<Module>());  // the numbers of those behind it stay
    }
    layers_.push_back(std::move(made));
  }
}

Encoder::Layout Resnas::layout(int64_t height, int64_t width) const {
  Grid grid = {patch_extent(definition_, height), patch_extent(definition_, width)};
  for (const ResnasLayer& layer : definition_.layers)
    if (layer.reduces)
      for (int64_t& extent : grid) extent = reduced_extent(extent);
  return {.grid = grid, .prefix = tokens_.size(1)};
}

Tokens Resnas::embed(const Tensor& pixels) {
  const auto too_small = [&](int64_t side) { return patch_extent(definition_, side) < 1; };
  if (pixels.dim() != 4 || pixels.size(1) != options_.channels)
    throw Error("pixels are B x " + std::to_string(options_.channels) + " x H x W", "vit-resnas");
  if (too_small(pixels.size(2)) || too_small(pixels.size(3)))
    throw Error("the picture is smaller than one patch", "vit-resnas");
  Tokens tokens = as_tokens(patches_ ? patches_->forward(pixels) : patch_->forward(pixels));
  tap(*this, tokens.x, "patches");
  const int64_t prefix = tokens_.size(1);
  tokens.x = torch::cat({tokens_.expand({pixels.size(0), -1, -1}), tokens.x}, 1);
  tokens.x = tokens.x + resample_positions(positions_, prefix, trained_, tokens.grid);
  tokens.x = vary(*this, tokens.x, tokens.x, {});
  tokens.prefix = prefix;
  return tokens;
}

Tokens Resnas::forward(const Tensor& pixels) {
  Tokens tokens = embed(pixels);
  for (const Layer& layer : layers_) {
    if (layer.block) tokens = layer.block->forward(tokens);
    if (layer.reduction) tokens = layer.reduction->forward(tokens);
  }
  return tokens.with(norm_->forward(tokens.x));
}

}  // namespace tessera
