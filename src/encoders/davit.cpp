#include "encoders/davit.h"

#include <numeric>

#include "layers/feed_forward.h"
#include "layers/window_attention.h"

namespace tessera {
namespace {

const Registration<Encoder, Davit, DavitOptions> registration(encoders(), "davit");

std::shared_ptr<Downsampler> convolution(const DavitOptions& o, size_t stage) {
  return std::make_shared<NormedConvolution>(NormedConvolutionOptions{.in = stage == 0 ? o.channels : o.dims[stage - 1],
                                                                      .out = o.dims[stage],
                                                                      .kernel = o.kernels[stage],
                                                                      .stride = o.strides[stage],
                                                                      .padding = o.paddings[stage],
                                                                      .pre_norm = o.pre_norm[stage],
                                                                      .eps = o.eps});
}

}  // namespace

DavitStage::DavitStage(const DavitOptions& o, size_t stage, int64_t before) : PyramidStage(convolution(o, stage)) {
  spatial_ = add<ModuleList<Block>>("spatial");
  channel_ = add<ModuleList<Block>>("channel");
  const int64_t dim = o.dims[stage], all = 2 * std::accumulate(o.depths.begin(), o.depths.end(), int64_t{0});
  const AttentionOptions spatial{.dim = dim, .heads = o.heads[stage], .qkv_bias = o.qkv_bias};
  const ChannelAttentionOptions channel{.dim = dim, .groups = o.groups[stage], .qkv_bias = o.qkv_bias};
  const auto ffn = static_cast<int64_t>(static_cast<double>(dim) * o.ffn_ratio);
  BlockOptions block{.dim = dim, .eps = o.eps, .position_kernel = 3};
  for (int64_t i = 0; i < o.depths[stage]; ++i) {
    block.drop_path = rising(o.drop_path, before + 2 * i, all);
    spatial_->append(block, std::make_shared<WindowAttention>(spatial, WindowOptions{.window = o.window}),
                     std::make_shared<Mlp>(dim, ffn, o.activation));
    block.drop_path = rising(o.drop_path, before + 2 * i + 1, all);
    channel_->append(block, std::make_shared<ChannelAttention>(channel), std::make_shared<Mlp>(dim, ffn, o.activation));
  }
}

Tokens DavitStage::mix(Tokens tokens) {
  for (size_t i = 0; i < spatial_->size(); ++i) tokens = (*channel_)[i].forward((*spatial_)[i].forward(tokens));
  return tokens;
}

Davit::Davit(const DavitOptions& o) : Pyramid("davit", o.channels) {
  check_stages("davit", o.dims.size(),
               {o.depths.size(), o.heads.size(), o.groups.size(), o.kernels.size(), o.strides.size(), o.paddings.size(),
                o.pre_norm.size()});
  int64_t blocks = 0;
  for (size_t stage = 0; stage < o.dims.size(); ++stage) {
    add_stage(std::make_shared<DavitStage>(o, stage, blocks), o.dims[stage]);
    blocks += 2 * o.depths[stage];
  }
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
  const NameTable convolutions = {
      {original ? "convs.{s}.proj.*" : "convs.{s}.conv.*", "stages.{s}.entry.convolution.*"},
      {"convs.{s}.norm.*", "stages.{s}.entry.norm.*"}};
  return convolutions + block_names("spatial", "window_attn", original) +
         block_names("channel", "channel_attn", original);
}

}  // namespace tessera
