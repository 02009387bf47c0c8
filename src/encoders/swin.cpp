#include "encoders/swin.h"

#include <algorithm>
#include <numeric>

#include "core/error.h"
#include "encoders/published.h"
#include "layers/feed_forward.h"
#include "layers/grid.h"
#include "layers/positions.h"
#include "layers/window_attention.h"

namespace tessera {
namespace {

const Registration<Encoder, Swin, SwinOptions> registration(encoders(), "swin");

constexpr double kEntryEps = 1e-5;

/// Patches with a norm and, where asked for, absolute positions.
class SwinEmbed : public NormedConvolution {
 public:
  explicit SwinEmbed(const SwinOptions& o)
      : NormedConvolution({.in = o.channels,
                           .out = o.dim,
                           .kernel = o.patch,
                           .stride = o.patch,
                           .norm = o.patch_norm,
                           .fill = true,
                           .eps = kEntryEps}) {
    trained_ = {extent(o.image[0]), extent(o.image[1])};
    if (o.absolute_positions) positions_ = weight("positions", {1, trained_[0] * trained_[1], o.dim});
  }

  Tensor forward(const Tensor& pixels) override {
    Tokens tokens = as_tokens(NormedConvolution::forward(pixels));
    tap(*this, tokens.x, "patches");
    if (positions_.defined()) tokens.x = tokens.x + resample_positions(positions_, 0, trained_, tokens.grid);
    tap(*this, tokens.x, "embed");
    return as_map(tokens);
  }

 private:
  Grid trained_;
  Tensor positions_;  // 1 x h*w x D
};

}  // namespace

PatchMerging::PatchMerging(int64_t in, int64_t out) {
  norm_ = add<Norm>("norm", 4 * in, kEntryEps);
  reduction_ = add<Linear>("reduction", 4 * in, out, /*with_bias=*/false);
}

Tensor PatchMerging::forward(const Tensor& map) {
  const int64_t batch = map.size(0), dim = map.size(1), rows = extent(map.size(2)), columns = extent(map.size(3));
  const Tensor even = torch::constant_pad_nd(map, {0, map.size(3) % 2, 0, map.size(2) % 2});
  const Tensor joined = even.reshape({batch, dim, rows, 2, columns, 2})
                            .permute({0, 2, 4, 5, 3, 1})  // the two of a column stand one after the other
                            .reshape({batch, rows * columns, 4 * dim});
  const Tensor merged = tap(*this, reduction_->forward(norm_->forward(joined)), "merged");
  return merged.transpose(1, 2).view({batch, -1, rows, columns});
}

Swin::Swin(const SwinOptions& o) : Pyramid("swin", o.channels) {
  check_stages("swin", o.depths.size(), {o.heads.size(), o.windows.size()});
  if (o.image.size() != 2) throw Error("image is [height, width]", "swin");
  const int64_t all = std::accumulate(o.depths.begin(), o.depths.end(), int64_t{0});
  int64_t index = 0, dim = o.dim;
  for (size_t s = 0; s < o.depths.size(); ++s, dim *= 2) {
    std::shared_ptr<Downsampler> entry;
    if (s == 0)
      entry = std::make_shared<SwinEmbed>(o);
    else
      entry = std::make_shared<PatchMerging>(dim / 2, dim);
    auto stage = std::make_shared<PyramidStage>(entry);
    const AttentionOptions attention{.dim = dim, .heads = o.heads[s], .qkv_bias = o.qkv_bias, .scale = o.scale};
    for (int64_t i = 0; i < o.depths[s]; ++i, ++index) {
      const WindowOptions window{.window = o.windows[s], .shifted = i % 2 == 1, .shrink = true, .relative_bias = true};
      stage->blocks().append(
          BlockOptions{.dim = dim, .eps = o.eps, .drop_path = rising(o.drop_path, index, all), .dropout = o.dropout},
          std::make_shared<WindowAttention>(attention, window),
          std::make_shared<Mlp>(dim, static_cast<int64_t>(static_cast<double>(dim) * o.ffn_ratio), o.activation));
    }
    add_stage(stage, dim);
  }
  add_norm(o.eps);
}

namespace {

NameTable merging_names(const SwinOptions& swin, bool whole_stage) {
  NameTable names = {{
                         {".downsample.norm.*", ".entry.norm.*"},
                         {".downsample.reduction.*", ".entry.reduction.*"},
                     },
                     {{".downsample", ".entry.merged"}}};
  // In transformers the result of a stage is that of the merging after it.
  if (whole_stage) names = names + NameTable({}, {{"", ".entry.merged"}});
  return between_stages(swin.depths.size(), names);
}

// transformers

NameTable hf_names(const SwinOptions& swin) {
  const NameTable block = {
      {"attention.self.{query|key|value}.*", "attention.qkv.*[{0|1|2}]"},
      {"attention.self.relative_position_bias_table", "attention.bias.weight"},
      {"attention.self.relative_position_index", ""},
      {"attention.output.dense.*", "attention.proj.*"},
      {"layernorm_before.*", "norm1.*"},
      {"layernorm_after.*", "norm2.*"},
      {"intermediate.dense.*", "ffn.up.*"},
      {"output.dense.*", "ffn.down.*"},
  };
  const NameTable tower = {{
                               {"embeddings.patch_embeddings.projection.*", "stages.0.entry.convolution.*"},
                               {"embeddings.norm.*", "stages.0.entry.norm.*"},
                               {"embeddings.position_embeddings", "stages.0.entry.positions"},
                               {"embeddings.mask_token", ""},
                               {"layernorm.*", "norm.*"},
                           },
                           {
                               {"embeddings", "stages.0.entry.embed"},
                               {"encoder.layers.{s}.blocks.{b}", "stages.{s}.blocks.{b}"},
                               {"layernorm", "norm"},
                           }};
  const NameTable blocks = block.within("encoder.layers.{s}.blocks.{b}.", "stages.{s}.blocks.{b}.");
  return (tower + blocks + merging_names(swin, true).within("encoder.", "")).within("[swin.]", "encoder.");
}

Assembly assemble_hf(const Json& json, const std::string& where) {
  PublishedConfig config(json, where);
  SwinOptions swin;
  swin.image = config.pair("image_size", 224);
  swin.patch = square_side(config, "patch_size", 4);
  swin.channels = config.get<int64_t>("num_channels", 3);
  swin.dim = config.get<int64_t>("embed_dim", 96);
  swin.depths = config.get<std::vector<int64_t>>("depths", swin.depths);
  swin.heads = config.get<std::vector<int64_t>>("num_heads", swin.heads);
  swin.windows.assign(swin.depths.size(), config.get<int64_t>("window_size", 7));
  swin.ffn_ratio = config.get<double>("mlp_ratio", 4);
  swin.qkv_bias = config.get<bool>("qkv_bias", true);
  swin.absolute_positions = config.get<bool>("use_absolute_embeddings", false);
  swin.activation = config.get<std::string>("hidden_act", "gelu");
  swin.eps = config.get<double>("layer_norm_eps", 1e-5);
  swin.drop_path = config.get<double>("drop_path_rate", 0.1);
  swin.dropout = config.get<double>("hidden_dropout_prob", 0);
  config.ignore(
      {"encoder_stride", "hidden_size", "num_layers", "stage_names", "out_features", "out_indices", "path_norm"});
  config.done();
  return {labelled_classifier(of_kind("swin", swin), {{"kind", "mean"}}, json),
          NameTable{{"classifier.*", "head.*"}} + hf_names(swin)};
}

const FamilyRegistration hf({"swin", "Swin Transformer (transformers)",
                             [](const Json& config) { return is_model_type(config, {"swin"}); }, assemble_hf});

// The authors' code

NameTable own_names(const SwinOptions& swin) {
  const NameTable tower = {{
                               {"absolute_pos_embed", "stages.0.entry.positions"},
                               {"patch_embed.proj.*", "stages.0.entry.convolution.*"},
                               {"patch_embed.norm.*", "stages.0.entry.norm.*"},
                               {"norm.*", "norm.*"},
                           },
                           {{"patch_embed", "stages.0.entry.patches"}, {"norm", "norm"}}};
  const NameTable tables = {{
                                {"attn.relative_position_bias_table", "attention.bias.weight"},
                                {"attn.relative_position_index", ""},
                                {"attn_mask", ""},
                            },
                            {{"attn", "attention"}}};
  const NameTable whole = {{}, {{"layers.{s}.blocks.{b}", "stages.{s}.blocks.{b}"}}};
  return tower + (tables + timm_block_names()).within("layers.{s}.blocks.{b}.", "stages.{s}.blocks.{b}.") + whole +
         merging_names(swin, false);
}

Assembly assemble_own(const Json& json, const std::string& where) {
  PublishedConfig config(json, where);
  SwinOptions swin;
  swin.image = config.pair("img_size", 224);
  swin.patch = square_side(config, "patch_size", 4);
  swin.channels = config.get<int64_t>("in_chans", 3);
  swin.dim = config.get<int64_t>("embed_dim", 96);
  swin.depths = config.get<std::vector<int64_t>>("depths", swin.depths);
  swin.heads = config.get<std::vector<int64_t>>("num_heads", swin.heads);
  swin.ffn_ratio = config.get<double>("mlp_ratio", 4);
  swin.qkv_bias = config.get<bool>("qkv_bias", true);
  swin.scale = config.get<double>("qk_scale", 0);
  swin.absolute_positions = config.get<bool>("ape", false);
  swin.patch_norm = config.get<bool>("patch_norm", true);
  swin.drop_path = config.get<double>("drop_path_rate", 0.1);
  swin.dropout = config.get<double>("drop_rate", 0);
  const int64_t window = config.get<int64_t>("window_size", 7), classes = config.get<int64_t>("num_classes", 1000);
  config.ignore({"attn_drop_rate", "use_checkpoint", "fused_window_process"});
  config.done();
  // The bias tables of stages whose grid is smaller than a window are as small as that.
  swin.windows.clear();
  int64_t shorter = *std::min_element(swin.image.begin(), swin.image.end()) / swin.patch;
  for (size_t s = 0; s < swin.depths.size(); ++s, shorter /= 2)
    swin.windows.push_back(std::clamp<int64_t>(shorter, 1, window));
  return {std::make_shared<ImageClassifier>(
              ImageClassifierOptions{.encoder = of_kind("swin", swin), .pool = {{"kind", "mean"}}, .classes = classes}),
          NameTable{{"head.*", "head.*"}} + own_names(swin).within("", "encoder.")};
}

const FamilyRegistration own({"swin-official", "Swin Transformer (the authors' code)",
                              [](const Json& config) {
                                return config.contains("window_size") && config.contains("depths") &&
                                       (config.contains("ape") || config.contains("patch_norm")) &&
                                       !config.contains("model_type");
                              },
                              assemble_own});

}  // namespace
}  // namespace tessera
