#include <algorithm>
#include <map>
#include <regex>

#include "core/error.h"
#include "encoders/published.h"
#include "encoders/swin.h"

namespace tessera {
namespace {

const NameTable kMerging = {{
                                {".downsample.norm.*", ".entry.norm.*"},
                                {".downsample.reduction.*", ".entry.reduction.*"},
                            },
                            {{".downsample", ".entry.merged"}}};

/// Of merging steps that are published with the stage before them.
NameTable merging_names(const SwinOptions& swin, bool whole_stage) {
  NameTable names = kMerging;
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

/// All but those of the merging steps.
NameTable own_names() {
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
  return tower + (tables + timm_block_names()).within("layers.{s}.blocks.{b}.", "stages.{s}.blocks.{b}.") + whole;
}

/// The constructor's arguments, which timm has taken over.
SwinOptions read_own(PublishedConfig& config) {
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
  const int64_t window = config.get<int64_t>("window_size", 7);
  config.ignore({"attn_drop_rate", "use_checkpoint", "fused_window_process"});
  // The bias tables of stages whose grid is smaller than a window are as small as that.
  swin.windows.clear();
  int64_t shorter = *std::min_element(swin.image.begin(), swin.image.end()) / swin.patch;
  for (size_t s = 0; s < swin.depths.size(); ++s, shorter /= 2)
    swin.windows.push_back(std::clamp<int64_t>(shorter, 1, window));
  return swin;
}

std::shared_ptr<ImageClassifier> mean_classifier(const SwinOptions& swin, int64_t classes) {
  return std::make_shared<ImageClassifier>(
      ImageClassifierOptions{.encoder = of_kind("swin", swin), .pool = {{"kind", "mean"}}, .classes = classes});
}

Assembly assemble_own(const Json& json, const std::string& where) {
  PublishedConfig config(json, where);
  const SwinOptions swin = read_own(config);
  const int64_t classes = config.get<int64_t>("num_classes", 1000);
  config.done();
  return {mean_classifier(swin, classes),
          NameTable{{"head.*", "head.*"}} + (own_names() + merging_names(swin, false)).within("", "encoder.")};
}

const FamilyRegistration own({"swin-official", "Swin Transformer (the authors' code)",
                              [](const Json& config) {
                                return config.contains("window_size") && config.contains("depths") &&
                                       (config.contains("ape") || config.contains("patch_norm")) &&
                                       !config.contains("model_type");
                              },
                              assemble_own});

// timm: the authors' names, but for the merging steps, which stand in the stage that they begin, and the head

/// What a name such as swin_tiny_patch4_window7_224.ms_in1k stands for.
Json timm_arguments(const std::string& architecture, const std::string& where) {
  using Numbers = std::vector<int64_t>;
  struct Size {
    int64_t dim;
    Numbers depths, heads;
  };
  static const std::map<std::string, Size> sizes = {{"tiny", {96, {2, 2, 6, 2}, {3, 6, 12, 24}}},
                                                    {"small", {96, {2, 2, 18, 2}, {3, 6, 12, 24}}},
                                                    {"base", {128, {2, 2, 18, 2}, {4, 8, 16, 32}}},
                                                    {"large", {192, {2, 2, 18, 2}, {6, 12, 24, 48}}}};
  static const std::regex pattern(R"(swin_([a-z]+)_patch(\d+)_window(\d+)_(\d+)(\..*)?)");
  std::smatch m;
  if (!std::regex_match(architecture, m, pattern) || !sizes.contains(m[1]))
    refuse_timm(architecture, "embed_dim, depths, num_heads, window_size, ...", where);
  const Size& size = sizes.at(m[1]);
  return {{"embed_dim", size.dim},          {"depths", size.depths},           {"num_heads", size.heads},
          {"patch_size", std::stoll(m[2])}, {"window_size", std::stoll(m[3])}, {"img_size", std::stoll(m[4])}};
}

Assembly assemble_timm(const Json& json, const std::string& where) {
  PublishedConfig config(timm_constructor(json, where, timm_arguments), where);
  const SwinOptions swin = read_own(config);
  const int64_t classes = config.get<int64_t>("num_classes", 1000);
  check_choice(config.get<std::string>("global_pool", "avg"), {"avg"}, where + ": global_pool");
  config.ignore({"strict_img_size", "always_partition", "proj_drop_rate"});
  config.done();
  NameTable merging = kMerging.within("layers.{s}", "stages.{s}");
  return {mean_classifier(swin, classes),
          NameTable{{"head.fc.*", "head.*"}} + (own_names() + merging).within("", "encoder.")};
}

const FamilyRegistration timm({"timm-swin", "Swin Transformer (timm)",
                               [](const Json& config) { return is_timm(config, {"swin_"}); }, assemble_timm});

}  // namespace
}  // namespace tessera
