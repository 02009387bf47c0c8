#include "encoders/vit_published.h"

#include <regex>

#include "encoders/published.h"

namespace tessera {

VitOptions read_timm_vit(PublishedConfig& config) {
  VitOptions vit;
  vit.image = config.pair("img_size", 224);
  vit.patch = config.pair("patch_size", 16);
  vit.channels = config.get<int64_t>("in_chans", 3);
  vit.dim = config.get<int64_t>("embed_dim", 768);
  vit.depth = config.get<int64_t>("depth", 12);
  vit.heads = config.get<int64_t>("num_heads", 12);
  vit.ffn = static_cast<int64_t>(static_cast<double>(vit.dim) * config.get<double>("mlp_ratio", 4));
  vit.qkv_bias = config.get<bool>("qkv_bias", true);
  vit.qk_norm = config.get<bool>("qk_norm", false);
  vit.layer_scale = config.get<double>("init_values", 0);
  vit.class_token = config.get<bool>("class_token", true);
  vit.registers = config.get<int64_t>("reg_tokens", 0) + (config.get<bool>("distilled", false) ? 1 : 0);
  vit.prefix_positions = !config.get<bool>("no_embed_class", false);
  vit.pre_norm = config.get<bool>("pre_norm", false);
  vit.patch_bias = !vit.pre_norm;
  vit.antialias_positions = true;
  return vit;
}

namespace {

// Hugging Face: ViT and DeiT

Assembly assemble_hf(const Json& json, const std::string& where) {
  PublishedConfig config(json, where);
  const bool deit = json.value("model_type", "") == "deit";
  VitOptions vit = read_hf_vit(config);
  config.ignore({"encoder_stride", "pooler_output_size", "pooler_act"});
  config.done();
  vit.registers = deit ? 1 : 0;
  ImageClassifierOptions options{.encoder = write_options(vit), .distillation = deit};
  options.encoder["kind"] = "vit";
  const auto labels = read_labels(json);
  options.classes = labels.empty() ? 2 : static_cast<int64_t>(labels.size());
  auto module = std::make_shared<ImageClassifier>(options);
  module->labels = labels;
  const NameTable heads =
      deit ? NameTable{{"cls_classifier.*", "head.*"}, {"distillation_classifier.*", "distillation_head.*"}}
           : NameTable{{"classifier.*", "head.*"}};
  return {module, heads + hf_vit_tower().within(deit ? "[deit.]" : "[vit.]", "encoder.")};
}

const FamilyRegistration hf({"vit", "ViT and DeiT (transformers)",
                             [](const Json& config) {
                               return is_model_type(config, {"vit", "deit"});
                             },
                             assemble_hf});

// timm

const NameTable kTimm = {{
                             {"cls_token", "encoder.class_token"},
                             {"reg_token", "encoder.registers"},
                             {"dist_token", "encoder.registers"},
                             {"pos_embed", "encoder.positions"},
                             {"patch_embed.proj.*", "encoder.patch.*"},
                             {"norm_pre.*", "encoder.pre_norm.*"},
                             {"blocks.{n}.norm{m}.*", "encoder.blocks.{n}.norm{m}.*"},
                             {"blocks.{n}.attn.qkv.*", "encoder.blocks.{n}.attention.qkv.*"},
                             {"blocks.{n}.attn.proj.*", "encoder.blocks.{n}.attention.proj.*"},
                             {"blocks.{n}.attn.q_norm.*", "encoder.blocks.{n}.attention.q_norm.*"},
                             {"blocks.{n}.attn.k_norm.*", "encoder.blocks.{n}.attention.k_norm.*"},
                             {"blocks.{n}.ls{m}.gamma", "encoder.blocks.{n}.scale{m}"},
                             {"blocks.{n}.mlp.fc1.*", "encoder.blocks.{n}.ffn.up.*"},
                             {"blocks.{n}.mlp.fc2.*", "encoder.blocks.{n}.ffn.down.*"},
                             {"norm.*", "encoder.norm.*"},
                             {"fc_norm.*", "pool.norm.*"},
                             {"head_dist.*", "distillation_head.*"},
                             {"head.*", "head.*"},
                         },
                         {
                             {"patch_embed", "encoder.patches"},
                             {"blocks.{n}.attn", "encoder.blocks.{n}.attention"},
                             {"blocks.{n}", "encoder.blocks.{n}"},
                             {"norm", "encoder.norm"},
                         }};

/// The constructor arguments that a timm name such as vit_base_patch16_reg4_gap_224.augreg stands for.
Json timm_arguments(const std::string& architecture, const std::string& where) {
  static const std::map<std::string, std::vector<int64_t>> sizes = {// width, depth, heads
                                                                    {"tiny", {192, 12, 3}},
                                                                    {"small", {384, 12, 6}},
                                                                    {"base", {768, 12, 12}},
                                                                    {"large", {1024, 24, 16}},
                                                                    {"huge", {1280, 32, 16}}};
  static const std::regex pattern(
      R"((vit|deit|deit3)_([a-z]+)_(distilled_)?patch(\d+)(_reg(\d+))?(_gap)?(_clip)?_(\d+)(\..*)?)");
  std::smatch m;
  if (!std::regex_match(architecture, m, pattern) || !sizes.contains(m[2]))
    refuse_timm(architecture, "embed_dim, depth, num_heads, ...", where);
  const auto& size = sizes.at(m[2]);
  Json arguments = {{"embed_dim", size[0]},
                    {"depth", size[1]},
                    {"num_heads", size[2]},
                    {"patch_size", std::stoll(m[4])},
                    {"img_size", std::stoll(m[9])}};
  if (m[6].matched) arguments["reg_tokens"] = std::stoll(m[6]);
  if (m[7].matched) arguments["class_token"] = false, arguments["global_pool"] = "avg";
  if (m[3].matched) arguments["distilled"] = true;
  if (m[1] == "deit3") arguments["init_values"] = 1e-6, arguments["no_embed_class"] = true;
  if (m[8].matched) arguments["pre_norm"] = true;
  return arguments;
}

Assembly assemble_timm(const Json& json, const std::string& where) {
  PublishedConfig config(json.contains("architecture") ? timm_constructor(json, where, timm_arguments) : json, where);
  VitOptions vit = read_timm_vit(config);
  const std::string pool = config.get<std::string>("global_pool", "token");
  check_choice(pool, {"token", "avg"}, where + ": global_pool");
  vit.final_norm = pool == "token" || config.get<bool>("final_norm", false);
  ImageClassifierOptions options{.encoder = write_options(vit), .pool = {{"kind", "first"}}};
  if (pool == "avg") options.pool = {{"kind", "mean"}, {"dim", vit.final_norm ? 0 : vit.dim}, {"eps", vit.eps}};
  options.encoder["kind"] = "vit";
  options.classes = config.get<int64_t>("num_classes", 1000);
  options.distillation = config.get<bool>("distilled", false);
  config.ignore({"dynamic_img_size", "weight_init", "drop_rate", "drop_path_rate", "fix_init"});
  config.done();
  return {std::make_shared<ImageClassifier>(options), kTimm};
}

bool is_timm_vit(const Json& config) {
  if (config.contains("architecture") && config["architecture"].is_string()) return is_timm(config, {"vit_", "deit"});
  // Constructor arguments alone; those of other systems have these, too, and name what is theirs.
  for (const char* key : {"embed_dim", "patch_size", "depth", "num_heads"})
    if (!config.contains(key)) return false;
  for (const char* other : {"norm_eps", "llama_configs", "opt", "encode_mode"})
    if (config.contains(other)) return false;
  return true;
}

const FamilyRegistration timm({"timm-vit", "ViT and DeiT (timm)", is_timm_vit, assemble_timm});

}  // namespace

VitOptions read_hf_vit(PublishedConfig& config) {
  VitOptions vit;
  vit.image = config.pair("image_size", 224);
  vit.patch = config.pair("patch_size", 16);
  vit.channels = config.get<int64_t>("num_channels", 3);
  vit.dim = config.get<int64_t>("hidden_size", 768);
  vit.depth = config.get<int64_t>("num_hidden_layers", 12);
  vit.heads = config.get<int64_t>("num_attention_heads", 12);
  vit.ffn = config.get<int64_t>("intermediate_size", 3072);
  vit.activation = config.get<std::string>("hidden_act", "gelu");
  vit.eps = config.get<double>("layer_norm_eps", 1e-12);
  vit.qkv_bias = config.get<bool>("qkv_bias", true);
  vit.dropout = config.get<double>("hidden_dropout_prob", 0);
  return vit;
}

NameTable hf_vit_layers() {
  return {{
              {"{n}.attention.attention.{query|key|value}.*", "{n}.attention.qkv.*[{0|1|2}]"},
              {"{n}.attention.output.dense.*", "{n}.attention.proj.*"},
              {"{n}.intermediate.dense.*", "{n}.ffn.up.*"},
              {"{n}.output.dense.*", "{n}.ffn.down.*"},
              {"{n}.layernorm_before.*", "{n}.norm1.*"},
              {"{n}.layernorm_after.*", "{n}.norm2.*"},
          },
          {{"{n}.attention", "{n}.attention"}, {"{n}", "{n}"}}};
}

NameTable hf_vit_tower() {
  const NameTable tower = {
      {
          {"embeddings.cls_token", "class_token"},
          {"embeddings.distillation_token", "registers"},
          {"embeddings.position_embeddings", "positions"},
          {"embeddings.patch_embeddings.projection.*", "patch.*"},
          {"layernorm.*", "norm.*"},
          {"pooler.dense.*", ""},  // a tanh pooler that only the headless model has; classifiers read the token itself
      },
      {{"embeddings", "embed"}, {"layernorm", "norm"}}};
  return tower + hf_vit_layers().within("encoder.layer.", "blocks.");
}

std::vector<std::string> read_labels(const Json& config) {
  std::vector<std::string> labels;
  if (!config.contains("id2label") || !config["id2label"].is_object()) return labels;
  const Json& names = config["id2label"];
  for (size_t i = 0; i < names.size(); ++i) {
    const std::string key = std::to_string(i);
    if (!names.contains(key)) return {};
    labels.push_back(names[key].is_string() ? names[key].get<std::string>() : key);
  }
  return labels;
}

}  // namespace tessera
