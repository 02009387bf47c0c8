#include "encoders/davit.h"

#include <numeric>

#include "layers/feed_forward.h"
#include "layers/grid.h"
#include "layers/window_attention.h"

namespace tessera {
namespace {

const Registration<Encoder, Davit, DavitOptions> registration(encoders(), "davit");

void check(const DavitOptions& o) {
  const size_t stages = o.dims.size();
  bool equal = stages > 0 && o.pre_norm.size() == stages;
  for (const auto* list : {&o.depths, &o.heads, &o.groups, &o.kernels, &o.strides, &o.paddings})
    equal = equal && list->size() == stages;
  if (!equal) throw Error("the lists of the stages have different lengths", "davit", "each has one entry a stage");
}

/// Norm of the channels of a map.
Tensor norm_map(Norm& norm, const Tensor& map) { return norm.forward(map.permute({0, 2, 3, 1})).permute({0, 3, 1, 2}); }

}  // namespace

DavitStage::DavitStage(const DavitOptions& o, size_t stage, double drop_path, double step)
    : pre_norm_(o.pre_norm[stage]) {
  const int64_t in = stage == 0 ? o.channels : o.dims[stage - 1], dim = o.dims[stage];
  convolution_ = add<Convolution>("convolution", ConvolutionOptions{.in = in,
                                                                    .out = dim,
                                                                    .kernel_height = o.kernels[stage],
                                                                    .kernel_width = o.kernels[stage],
                                                                    .stride_height = o.strides[stage],
                                                                    .stride_width = o.strides[stage],
                                                                    .padding = o.paddings[stage]});
  norm_ = add<Norm>("norm", pre_norm_ ? in : dim, o.eps);
  spatial_ = add<ModuleList<Block>>("spatial");
  channel_ = add<ModuleList<Block>>("channel");
  const AttentionOptions spatial{.dim = dim, .heads = o.heads[stage], .qkv_bias = o.qkv_bias};
  const ChannelAttentionOptions channel{.dim = dim, .groups = o.groups[stage], .qkv_bias = o.qkv_bias};
  const auto ffn = static_cast<int64_t>(static_cast<double>(dim) * o.ffn_ratio);
  BlockOptions block{.dim = dim, .eps = o.eps, .drop_path = drop_path, .position_kernel = 3};
  for (int64_t i = 0; i < o.depths[stage]; ++i) {
    spatial_->append(block, std::make_shared<WindowAttention>(spatial, o.window),
                     std::make_shared<Mlp>(dim, ffn, o.activation));
    block.drop_path += step;
    channel_->append(block, std::make_shared<ChannelAttention>(channel), std::make_shared<Mlp>(dim, ffn, o.activation));
    block.drop_path += step;
  }
}

Tensor DavitStage::forward(const Tensor& map) {
  const Tensor embedded =
      pre_norm_ ? convolution_->forward(norm_map(*norm_, map)) : norm_map(*norm_, convolution_->forward(map));
  Tokens tokens = as_tokens(embedded);
  for (size_t i = 0; i < spatial_->size(); ++i) tokens = (*channel_)[i].forward((*spatial_)[i].forward(tokens));
  return tap(*this, as_map(tokens));
}

Davit::Davit(const DavitOptions& options) : options_(options) {
  const auto& o = options_;
  check(o);
  stages_ = add<ModuleList<DavitStage>>("stages");
  const int64_t blocks = 2 * std::accumulate(o.depths.begin(), o.depths.end(), int64_t{0});
  const double step = blocks > 1 ? o.drop_path / static_cast<double>(blocks - 1) : 0;
  double rate = 0;
  for (size_t stage = 0; stage < o.dims.size(); ++stage) {
    stages_->append(o, stage, rate, step);
    rate += 2 * static_cast<double>(o.depths[stage]) * step;
  }
}

Encoder::Layout Davit::layout(int64_t height, int64_t width) const {
  Grid grid = {height, width};
  for (size_t i = 0; i < options_.dims.size(); ++i)
    for (int64_t& extent : grid)
      extent = (extent + 2 * options_.paddings[i] - options_.kernels[i]) / options_.strides[i] + 1;
  return {.grid = grid};
}

Tokens Davit::forward(const Tensor& pixels) {
  if (pixels.dim() != 4 || pixels.size(1) != options_.channels)
    throw Error("pixels are B x " + std::to_string(options_.channels) + " x H x W", "davit");
  Tensor map = pixels;
  for (size_t i = 0; i < stages_->size(); ++i) {
    const int64_t smallest = options_.kernels[i] - 2 * options_.paddings[i];
    if (map.size(2) < smallest || map.size(3) < smallest)
      throw Error("the picture is too small for " + std::to_string(stages_->size()) + " stages", "davit");
    map = (*stages_)[i].forward(map);
  }
  return as_tokens(tap(*this, map, "map"));
}

namespace {

/// A "spatial" or "channel" block, whose attention is published as `attention`.
NameTable block_names(const std::string& kind, const std::string& attention, bool original) {
  const NameTable mixer = {{"qkv.*", "attention.qkv.*"}, {"proj.*", "attention.proj.*"}};
  const NameTable native = {{"conv1.*", "position1.*"}, {"norm1.*", "norm1.*"},    {"conv2.*", "position2.*"},
                            {"norm2.*", "norm2.*"},     {"ffn.fc1.*", "ffn.up.*"}, {"ffn.fc2.*", "ffn.down.*"}};
  const std::string norm = attention + ".norm.*";
  const NameTable first = {{"conv1.fn.dw.*", "position1.*"}, {norm.c_str(), "norm1.*"},
                           {"conv2.fn.dw.*", "position2.*"}, {"ffn.norm.*", "norm2.*"},
                           {"ffn.fn.net.fc1.*", "ffn.up.*"}, {"ffn.fn.net.fc2.*", "ffn.down.*"}};
  return ((original ? first : native) + mixer.within(attention + (original ? ".fn." : "."), ""))
      .within("blocks.{s}.{b}." + kind + "_block.", "stages.{s}." + kind + ".{b}.");
}

}  // namespace

NameTable davit_names(bool original) {
  const NameTable convolutions = {{original ? "convs.{s}.proj.*" : "convs.{s}.conv.*", "stages.{s}.convolution.*"},
                                  {"convs.{s}.norm.*", "stages.{s}.norm.*"}};
  return convolutions + block_names("spatial", "window_attn", original) +
         block_names("channel", "channel_attn", original);
}

}  // namespace tessera
