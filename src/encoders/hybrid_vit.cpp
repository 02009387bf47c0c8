#include "encoders/hybrid_vit.h"

#include "core/error.h"
#include "layers/attention.h"
#include "layers/feed_forward.h"
#include "layers/positions.h"

namespace tessera {
namespace {

const Registration<Encoder, HybridVit, HybridVitOptions> registration(encoders(), "hybrid-vit");

int64_t halved(int64_t extent, size_t times) {
  for (size_t i = 0; i < times; ++i) extent = (extent + 1) / 2;
  return extent;
}

}  // namespace

ResidualBlock::ResidualBlock(int64_t in, int64_t out, int64_t stride, double drop_path)
    : stride_(stride), drop_path_(drop_path) {
  first_ = add<ConvolutionNorm>("first", in, out, 3, stride);
  second_ = add<ConvolutionNorm>("second", out, out, 3, 1, /*rectify=*/false, /*first_weight=*/0);
  if (in != out || stride != 1) shortcut_ = add<ConvolutionNorm>("shortcut", in, out, 1, 1, /*rectify=*/false);
}

Tensor ResidualBlock::forward(const Tensor& x) {
  Tensor shortcut =
      stride_ > 1 ? torch::avg_pool2d(x, stride_, stride_, 0, /*ceil_mode=*/true, /*count_include_pad=*/false) : x;
  if (shortcut_) shortcut = shortcut_->forward(shortcut);
  return tap(*this, torch::relu(drop_path(second_->forward(first_->forward(x)), drop_path_, is_training()) + shortcut));
}

HybridVit::HybridVit(const HybridVitOptions& options) : options_(options) {
  const auto& o = options_;
  if (o.widths.empty() || o.widths.size() != o.blocks.size() || o.image.size() != 2)
    throw Error("widths and blocks name the same stages, and image is [height, width]", "hybrid-vit");
  stem_ = add<ConvolutionNorm>("stem", o.channels, o.stem, 3, 2);
  int64_t count = o.depth;
  for (const int64_t blocks : o.blocks) count += blocks;
  const double step = count > 1 ? o.drop_path / static_cast<double>(count - 1) : 0;
  double rate = 0;
  for (size_t i = 0; i < o.widths.size(); ++i) add_stage(i, i == 0 ? o.stem : o.widths[i - 1], step, rate);

  const int64_t last = o.widths.back();
  trained_ = layout(o.image[0], o.image[1]).grid;
  if (o.depth > 0) {
    if (last != o.dim) embed_ = add<Linear>("embed", last, o.dim);
    positions_ = weight("positions", {1, trained_[0] * trained_[1], o.dim});
    blocks_ = add<ModuleList<Block>>("blocks");
    for (int64_t i = 0; i < o.depth; ++i, rate += step)
      blocks_->append(BlockOptions{.dim = o.dim, .eps = o.eps, .drop_path = rate},
                      std::make_shared<Attention>(AttentionOptions{.dim = o.dim, .heads = o.heads}),
                      std::make_shared<Mlp>(o.dim, o.ffn, o.activation));
  }
  if (o.final_norm) norm_ = add<Norm>("norm", width(), o.eps);
}

void HybridVit::add_stage(size_t index, int64_t in, double drop_path_step, double& drop_path) {
  const std::string name = "stages" + std::to_string(index);
  const int64_t out = options_.widths[index], stride = index == 0 ? 1 : 2;
  Stage stage;
  if (options_.blocks[index] == 0) {
    stage.plain = add<ConvolutionNorm>(name, in, out, 3, stride);
  } else {
    stage.blocks = add<ModuleList<ResidualBlock>>(name);
    for (int64_t i = 0; i < options_.blocks[index]; ++i, drop_path += drop_path_step)
      stage.blocks->append(i == 0 ? in : out, out, i == 0 ? stride : 1, drop_path);
  }
  stages_.push_back(std::move(stage));
}

int64_t HybridVit::width() const { return options_.depth > 0 ? options_.dim : options_.widths.back(); }

Encoder::Layout HybridVit::layout(int64_t height, int64_t width) const {
  const size_t times = options_.widths.size();
  return {.grid = {halved(height, times), halved(width, times)}};
}

Tokens HybridVit::forward(const Tensor& pixels) {
  if (pixels.dim() != 4 || pixels.size(1) != options_.channels)
    throw Error("pixels are B x " + std::to_string(options_.channels) + " x H x W", "hybrid-vit");
  // Channels last: the layout in which the convolutions on the CPU need no reordering.
  Tensor map = stem_->forward(pixels.contiguous(torch::MemoryFormat::ChannelsLast));
  for (const Stage& stage : stages_) {
    if (stage.plain) {
      map = stage.plain->forward(map);
    } else {
      for (const auto& block : *stage.blocks) map = block->forward(map);
    }
  }
  Tokens tokens;
  tokens.grid = {map.size(2), map.size(3)};
  // The sequence stays float32 under autocast: norms of bfloat16 are slow in LibTorch 1.13 and lose digits everywhere.
  tokens.x = map.flatten(2).transpose(1, 2).to(positions_.defined() ? positions_.scalar_type() : torch::kFloat32);
  if (blocks_) {
    if (embed_) tokens.x = embed_->forward(tokens.x);
    tokens.x = tap(*this, tokens.x + resample_positions(positions_, 0, trained_, tokens.grid), "embed");
    for (const auto& block : *blocks_) tokens = block->forward(tokens);
  }
  return norm_ ? tokens.with(norm_->forward(tokens.x)) : tokens;
}

}  // namespace tessera
