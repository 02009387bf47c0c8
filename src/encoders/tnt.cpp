#include "encoders/tnt.h"

#include "core/error.h"
#include "encoders/published.h"
#include "encoders/pyramid.h"
#include "layers/attention.h"
#include "layers/feed_forward.h"
#include "layers/positions.h"
#include "layers/window_attention.h"

namespace tessera {
namespace {

const Registration<Encoder, Tnt, TntOptions> registration(encoders(), "tnt");

int64_t times(int64_t dim, double ratio) { return static_cast<int64_t>(static_cast<double>(dim) * ratio); }

/// An MLP whose result is gated by what all tokens are on average: t + t * tanh(...).
class ExcitedMlp : public Mlp {
 public:
  ExcitedMlp(int64_t dim, int64_t hidden, double eps) : Mlp(dim, hidden, "gelu") {
    norm_ = add<Norm>("norm", dim, eps);
    squeeze_ = add<Linear>("squeeze", dim, dim / 4);
    excite_ = add<Linear>("excite", dim / 4, dim);
  }
  Tensor forward(const Tensor& x) override {
    const Tensor t = Mlp::forward(x), mean = t.mean(1, /*keepdim=*/true);
    return t + t * torch::tanh(excite_->forward(torch::relu(squeeze_->forward(norm_->forward(mean)))));
  }
  Tensor onto(const Tensor& residual, const Tensor& x) override { return FeedForward::onto(residual, x); }

 private:
  std::shared_ptr<Norm> norm_;
  std::shared_ptr<Linear> squeeze_, excite_;
};

/// A norm over one word or over all of a sentence, by its own width.
Tensor normed(Norm& norm, const Tensor& words) {
  return norm.forward(words.reshape({-1, norm.weight.size(0)})).view(words.sizes());
}

}  // namespace

TntBlock::TntBlock(const TntBlockOptions& options, std::shared_ptr<Mixer> outer) : options_(options) {
  const auto& o = options_;
  const int64_t all = o.words * o.inner_dim;
  if (o.words > 0) {
    const int64_t normed_width = o.word_norm ? o.inner_dim : all;
    inner_norm1_ = add<Norm>("inner_norm1", normed_width, o.eps);
    inner_ = add<Attention>(
        "inner",
        AttentionOptions{.dim = o.inner_dim, .heads = o.inner_heads, .qkv_bias = o.qkv_bias, .scale = o.scale});
    inner_norm2_ = add<Norm>("inner_norm2", normed_width, o.eps);
    inner_ffn_ = add<Mlp>("inner_ffn", o.inner_dim, times(o.inner_dim, o.inner_ffn_ratio), "gelu");
    proj_norm1_ = add<Norm>("proj_norm1", o.legacy ? o.inner_dim : all, o.eps);
    proj_ = add<Linear>("proj", all, o.dim, /*with_bias=*/o.legacy);
    if (!o.legacy) proj_norm2_ = add<Norm>("proj_norm2", o.dim, o.eps);
  }
  const int64_t hidden = times(o.dim, o.ffn_ratio);
  auto ffn =
      o.excitation ? std::make_shared<ExcitedMlp>(o.dim, hidden, o.eps) : std::make_shared<Mlp>(o.dim, hidden, "gelu");
  outer_ = add<Block>("outer", BlockOptions{.dim = o.dim, .eps = o.eps, .drop_path = o.drop_path}, std::move(outer),
                      std::move(ffn));
}

Tokens TntBlock::forward(Tensor& words, const Tokens& sentences) {
  Tokens tokens = sentences;
  if (inner_) {
    const auto dropped = [&](const Tensor& y) { return drop_path(y, options_.drop_path, is_training()); };
    Tokens inside;
    inside.x = normed(*inner_norm1_, words);
    words = words + dropped(inner_->forward(inside));
    words = tap(*this, words + dropped(inner_ffn_->forward(normed(*inner_norm2_, words))), "words");
    const int64_t batch = tokens.x.size(0);
    Tensor joined = proj_->forward(normed(*proj_norm1_, words).view({batch, words.size(0) / batch, -1}));
    if (proj_norm2_) joined = proj_norm2_->forward(joined);
    tokens.x = tap(*this, tokens.x + torch::constant_pad_nd(joined, {0, 0, tokens.prefix, tokens.suffix}), "joined");
  }
  return outer_->forward(tokens);
}

Tnt::Tnt(const TntOptions& options) : options_(options) {
  const auto& o = options_;
  if (o.image.size() != 2) throw Error("image is [height, width]", "tnt");
  if (o.patch < 1 || o.inner_stride < 1 || o.image[0] < o.patch || o.image[1] < o.patch)
    throw Error("a patch has pixels, and the image has patches", "tnt");
  if (o.legacy && o.patch % o.inner_stride != 0)
    throw Error("patches of " + std::to_string(o.patch) + " pixels are no whole number of words", "tnt: inner_stride");
  trained_ = {o.image[0] / o.patch, o.image[1] / o.patch};
  pixel_ = add<Convolution>("pixel", ConvolutionOptions{.in = o.channels,
                                                        .out = o.inner_dim,
                                                        .kernel_height = 7,
                                                        .kernel_width = 7,
                                                        .stride_height = o.inner_stride,
                                                        .stride_width = o.inner_stride,
                                                        .padding = 3});
  const int64_t side = (o.patch + o.inner_stride - 1) / o.inner_stride, words = side * side;
  class_token_ = weight("class_token", {1, 1, o.dim});
  inner_positions_ = o.position_maps ? weight("inner_positions", {1, o.inner_dim, side, side})
                                     : weight("inner_positions", {1, words, o.inner_dim});
  positions_ = weight("positions", {1, 1 + trained_[0] * trained_[1], o.dim});
  proj_norm1_ = add<Norm>("proj_norm1", words * o.inner_dim, o.eps);
  proj_ = add<Linear>("proj", words * o.inner_dim, o.dim);
  proj_norm2_ = add<Norm>("proj_norm2", o.dim, o.eps);
  blocks_ = add<ModuleList<TntBlock>>("blocks");
  TntBlockOptions block{.dim = o.dim,
                        .heads = o.heads,
                        .inner_dim = o.inner_dim,
                        .inner_heads = o.inner_heads,
                        .words = words,
                        .ffn_ratio = o.ffn_ratio,
                        .inner_ffn_ratio = o.inner_ffn_ratio,
                        .qkv_bias = o.qkv_bias,
                        .scale = o.scale,
                        .legacy = o.legacy,
                        .excitation = o.excitation,
                        .eps = o.eps};
  const AttentionOptions outer{.dim = o.dim, .heads = o.heads, .qkv_bias = o.qkv_bias, .scale = o.scale};
  for (int64_t i = 0; i < o.depth; ++i) {
    block.drop_path = rising(o.drop_path, i, o.depth);
    blocks_->append(block, std::make_shared<Attention>(outer));
  }
  norm_ = add<Norm>("norm", o.dim, o.eps);
}

Encoder::Layout Tnt::layout(int64_t height, int64_t width) const {
  return {.grid = {height / options_.patch, width / options_.patch}, .prefix = 1};
}

/// B x C x H x W of whole patches -> B * sentences x words x inner width.
Tensor Tnt::words_of(const Tensor& pixels) {
  const auto& o = options_;
  const int64_t side = (o.patch + o.inner_stride - 1) / o.inner_stride;
  Tensor words;
  if (o.legacy) {
    words = in_windows(pixel_->forward(pixels), side);
  } else {
    const Tensor patches = in_windows(pixels, o.patch).transpose(1, 2);  // B * sentences x C x patch^2
    words = pixel_->forward(patches.unflatten(2, {o.patch, o.patch})).flatten(2).transpose(1, 2);
  }
  tap(*this, words, "pixels");
  return tap(*this, words + (o.position_maps ? inner_positions_.flatten(2).transpose(1, 2) : inner_positions_),
             "words");
}

Tokens Tnt::sentences_of(const Tensor& words, const Grid& grid) {
  const int64_t count = grid[0] * grid[1], batch = words.size(0) / count;
  const Tensor flat = words.reshape({batch, count, -1});
  const Tensor sentences = tap(*this, proj_norm2_->forward(proj_->forward(proj_norm1_->forward(flat))), "sentences");
  Tokens tokens;
  tokens.grid = grid, tokens.prefix = 1;
  tokens.x = torch::cat({class_token_.expand({batch, -1, -1}), sentences}, 1) +
             resample_positions(positions_, 1, trained_, grid);
  return tokens;
}

Tokens Tnt::forward(const Tensor& pixels) {
  const auto& o = options_;
  if (pixels.dim() != 4 || pixels.size(1) != o.channels)
    throw Error("pixels are B x " + std::to_string(o.channels) + " x H x W", "tnt");
  const Grid grid = layout(pixels.size(2), pixels.size(3)).grid;
  if (grid[0] < 1 || grid[1] < 1) throw Error("the picture is smaller than one patch", "tnt");
  Tensor words = words_of(pixels.narrow(2, 0, grid[0] * o.patch).narrow(3, 0, grid[1] * o.patch));
  Tokens tokens = sentences_of(words, grid);
  for (const auto& block : *blocks_) tokens = block->forward(words, tokens);
  return tokens.with(norm_->forward(tokens.x));
}

NameTable tnt_block_names() {
  return {{
              {"inner_norm{m}.*", "inner_norm{m}.*"},
              {"inner_attn.{qk|v}.*", "inner.qkv.*[{0:2|1:1}]"},
              {"inner_attn.proj.*", "inner.proj.*"},
              {"inner_mlp.fc1.*", "inner_ffn.up.*"},
              {"inner_mlp.fc2.*", "inner_ffn.down.*"},
              {"proj_norm{m}.*", "proj_norm{m}.*"},
              {"proj.*", "proj.*"},
              {"outer_norm{m}.*", "outer.norm{m}.*"},
              {"outer_attn.{qk|v}.*", "outer.attention.qkv.*[{0:2|1:1}]"},
              {"outer_attn.proj.*", "outer.attention.proj.*"},
              {"outer_mlp.fc1.*", "outer.ffn.up.*"},
              {"outer_mlp.fc2.*", "outer.ffn.down.*"},
              {"se_layer.fc.0.*", "outer.ffn.norm.*"},
              {"se_layer.fc.1.*", "outer.ffn.squeeze.*"},
              {"se_layer.fc.3.*", "outer.ffn.excite.*"},
          },
          {}};
}

namespace {

const NameTable kBlockTaps = {{}, {{"blocks.{n}#0", "blocks.{n}.words"}, {"blocks.{n}#1", "blocks.{n}.outer"}}};

/// The authors' blocks add words to the sentences in place, so that what is seen of a block's result is what the next
/// one has made of it.
NameTable taps_of_updated(int64_t depth) {
  NameTable taps;
  for (int64_t next = 1; next < depth; ++next)
    taps = taps + NameTable({}, {{"#1", "joined"}})
                      .within("blocks." + std::to_string(next - 1), "blocks." + std::to_string(next) + ".");
  return taps;
}

NameTable own_names(int64_t depth) {
  const NameTable tower = {{
                               {"cls_token", "class_token"},
                               {"outer_tokens", ""},  // zeros that no code reads
                               {"outer_pos", "positions"},
                               {"inner_pos", "inner_positions"},
                               {"patch_embed.proj.*", "pixel.*"},
                               {"proj_norm{m}.*", "proj_norm{m}.*"},
                               {"proj.*", "proj.*"},
                               {"norm.*", "norm.*"},
                           },
                           {{"patch_embed", "pixels"}, {"proj_norm2", "sentences"}, {"norm", "norm"}}};
  return tower + tnt_block_names().within("blocks.{n}.", "blocks.{n}.") + taps_of_updated(depth) + kBlockTaps;
}

NameTable timm_names() {
  const NameTable block = {
      {"norm_in.*", "inner_norm1.*"},
      {"attn_in.{qk|v}.*", "inner.qkv.*[{0:2|1:1}]"},
      {"attn_in.proj.*", "inner.proj.*"},
      {"norm_mlp_in.*", "inner_norm2.*"},
      {"mlp_in.fc1.*", "inner_ffn.up.*"},
      {"mlp_in.fc2.*", "inner_ffn.down.*"},
      {"norm{m}_proj.*", "proj_norm{m}.*"},
      {"proj.*", "proj.*"},
      {"norm_out.*", "outer.norm1.*"},
      {"attn_out.{qk|v}.*", "outer.attention.qkv.*[{0:2|1:1}]"},
      {"attn_out.proj.*", "outer.attention.proj.*"},
      {"norm_mlp.*", "outer.norm2.*"},
      {"mlp.fc1.*", "outer.ffn.up.*"},
      {"mlp.fc2.*", "outer.ffn.down.*"},
  };
  const NameTable tower = {{
                               {"cls_token", "class_token"},
                               {"patch_pos", "positions"},
                               {"pixel_pos", "inner_positions"},
                               {"pixel_embed.proj.*", "pixel.*"},
                               {"norm{m}_proj.*", "proj_norm{m}.*"},
                               {"proj.*", "proj.*"},
                               {"norm.*", "norm.*"},
                           },
                           {{"pixel_embed", "words"}, {"norm2_proj", "sentences"}, {"norm", "norm"}}};
  return tower + block.within("blocks.{n}.", "blocks.{n}.") + kBlockTaps;
}

Assembly assemble_tnt(const Json& json, const std::string& where, bool timm) {
  PublishedConfig config(json, where);
  TntOptions tnt;
  tnt.image = config.pair("img_size", 224);
  tnt.patch = square_side(config, "patch_size", 16);
  tnt.channels = config.get<int64_t>("in_chans", 3);
  tnt.dim = config.get<int64_t>(timm ? "embed_dim" : "outer_dim", 768);
  tnt.inner_dim = config.get<int64_t>("inner_dim", 48);
  tnt.depth = config.get<int64_t>("depth", 12);
  tnt.heads = config.get<int64_t>(timm ? "num_heads_outer" : "outer_num_heads", 12);
  tnt.inner_heads = config.get<int64_t>(timm ? "num_heads_inner" : "inner_num_heads", 4);
  tnt.inner_stride = config.get<int64_t>(timm ? "first_stride" : "inner_stride", 4);
  tnt.ffn_ratio = config.get<double>("mlp_ratio", 4);
  tnt.inner_ffn_ratio = timm ? 4 : tnt.ffn_ratio;
  tnt.qkv_bias = config.get<bool>("qkv_bias", false);
  tnt.drop_path = config.get<double>("drop_path_rate", 0);
  if (timm) {
    tnt.legacy = config.get<bool>("legacy", false);
    tnt.position_maps = true;
    config.expect<std::string>("global_pool", "token");
  } else {
    tnt.scale = config.get<double>("qk_scale", 0);
    tnt.excitation = config.get<double>("se", 0) > 0;
  }
  const int64_t classes = config.get<int64_t>("num_classes", 1000);
  config.ignore({"drop_rate", "attn_drop_rate", "pos_drop_rate", "proj_drop_rate", "attn_drop"});
  config.done();
  return {std::make_shared<ImageClassifier>(ImageClassifierOptions{.encoder = of_kind("tnt", tnt), .classes = classes}),
          NameTable{{"head.*", "head.*"}} + (timm ? timm_names() : own_names(tnt.depth)).within("", "encoder.")};
}

const FamilyRegistration own({"tnt", "Transformer in Transformer (the authors' code)",
                              [](const Json& config) { return config.contains("outer_num_heads"); },
                              [](const Json& json, const std::string& where) {
                                return assemble_tnt(json, where, false);
                              }});
const FamilyRegistration timm({"timm-tnt", "Transformer in Transformer (timm)",
                               [](const Json& config) { return config.contains("num_heads_outer"); },
                               [](const Json& json, const std::string& where) {
                                 return assemble_tnt(json, where, true);
                               }});

}  // namespace
}  // namespace tessera
