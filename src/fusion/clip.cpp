/// CLIP (Radford et al., 2021) as published by OpenAI, transformers and open_clip, and SigLIP (Zhai et al., 2023): two
/// towers of shared parts, so that this file is only their configs and names.
#include "encoders/clip_vision.h"
#include "encoders/published.h"
#include "encoders/vitamin.h"
#include "fusion/dual_encoder.h"
#include "io/published_config.h"
#include "language/text_transformer.h"
#include "layers/family.h"

namespace tessera {
namespace {

// transformers

NameTable tower_names() {
  const NameTable own = {
      {
          {"text_model.embeddings.token_embedding.*", "text.tokens.*"},
          {"text_model.embeddings.position_embedding.weight", "text.positions"},
          {"text_model.embeddings.position_ids", ""},
          {"text_model.final_layer_norm.*", "text.norm.*"},
          {"logit_scale", "logit_scale"},
          {"logit_bias", "logit_bias"},
      },
      {{"text_model.last_hidden_state", "text.norm"}, {"text_model.pooler_output", "text_projection"}}};
  return own + clip_vision_names().within("vision_model.", "image.") +
         clip_layer_names().within("text_model.encoder.layers.", "text.blocks.");
}

NameTable clip_projections() {
  return {{"visual_projection.*", "image_projection.*"}, {"text_projection.*", "text_projection.*"}};
}

NameTable siglip_heads() {
  const NameTable text = {{{"text_model.head.*", "text_projection.*"}},
                          {{"vision_model.last_hidden_state", "image.norm"}}};
  return text + siglip_head_names().within("vision_model.", "image_pool.");
}

TextTransformerOptions read_text(PublishedConfig& config, bool clip) {
  TextTransformerOptions text;
  text.vocabulary = config.get<int64_t>("vocab_size", clip ? 49408 : 32000);
  text.context = config.get<int64_t>("max_position_embeddings", clip ? 77 : 64);
  text.dim = config.get<int64_t>("hidden_size", clip ? 512 : 768);
  text.depth = config.get<int64_t>("num_hidden_layers", 12);
  text.heads = config.get<int64_t>("num_attention_heads", clip ? 8 : 12);
  text.ffn = config.get<int64_t>("intermediate_size", clip ? 2048 : 3072);
  text.activation = config.get<std::string>("hidden_act", clip ? "quick_gelu" : "gelu_pytorch_tanh");
  text.eps = config.get<double>("layer_norm_eps", clip ? 1e-5 : 1e-6);
  text.causal = clip;
  return text;
}

Assembly assemble_transformers(const Json& json, const std::string& where) {
  PublishedConfig config(json, where);
  const bool clip = json.value("model_type", "") == "clip";
  PublishedConfig vision_config = config.nested("vision_config");
  const VitOptions vit = read_clip_vision(vision_config, clip ? ClipVision::kClip : ClipVision::kSiglip);
  vision_config.expect("vision_use_head", true);
  vision_config.done();
  PublishedConfig text_config = config.nested("text_config");
  const TextTransformerOptions text = read_text(text_config, clip);

  DualEncoderOptions options{.image = of_kind("vit", vit), .text = of_kind("text-transformer", text)};
  options.end_id = text_config.get<int64_t>("eos_token_id", clip ? 49407 : 1);
  if (clip) {
    // Configs from before transformers 4.31 say 2 whatever the vocabulary; there the end token has the highest id.
    options.text_pool = options.end_id == 2 ? "highest-id" : "end";
    options.dim = config.get<int64_t>("projection_dim", 512);
  } else {
    options.image_pool =
        of_kind("attention", AttentionPoolOptions{vit.dim, vit.heads, vit.ffn, vit.activation, vit.eps});
    options.image_projection = "none";
    options.text_pool = "last";
    options.text_projection = "affine";
    options.dim = text_config.get<int64_t>("projection_size", text.dim);
    options.logit_scale = 2.302585092994046, options.logit_bias = -10;  // ln 10 and -10, the paper's first values
  }
  text_config.ignore({"projection_dim", "pad_token_id", "bos_token_id", "dropout", "projection_size"});
  text_config.done();
  config.get<double>("logit_scale_init_value", 2.6592);
  config.ignore({"projection_dim", "text_config_dict", "vision_config_dict"});
  config.done();
  return {std::make_shared<DualEncoder>(options), (clip ? clip_projections() : siglip_heads()) + tower_names()};
}

const FamilyRegistration transformers({"clip", "CLIP and SigLIP (transformers)",
                                       [](const Json& config) {
                                         return is_model_type(config, {"clip", "siglip"});
                                       },
                                       assemble_transformers});

// open_clip and OpenAI

NameTable resblock_names() {
  return {{
              {"{n}.attn.in_proj_weight", "{n}.attention.qkv.weight"},
              {"{n}.attn.in_proj_bias", "{n}.attention.qkv.bias"},
              {"{n}.attn.out_proj.*", "{n}.attention.proj.*"},
              {"{n}.ln_{m}.*", "{n}.norm{m}.*"},
              {"{n}.mlp.c_fc.*", "{n}.ffn.up.*"},
              {"{n}.mlp.c_proj.*", "{n}.ffn.down.*"},
          },
          {{"{n}", "{n}"}}};
}

NameTable open_clip_text_names() {
  const NameTable own = {
      {"token_embedding.weight", "text.tokens.weight"},
      {"positional_embedding", "text.positions"},
      {"ln_final.*", "text.norm.*"},
      {"text_projection", "text_projection.weight^T"},
      {"attn_mask", ""},
  };
  return own + resblock_names().within("transformer.resblocks.", "text.blocks.");
}

NameTable open_clip_vision_names() {
  const NameTable own = {{
                             {"class_embedding", "image.class_token"},
                             {"positional_embedding", "image.positions"},
                             {"conv1.weight", "image.patch.weight"},
                             {"ln_pre.*", "image.pre_norm.*"},
                             {"ln_post.*", "image.norm.*"},
                             {"proj", "image_projection.weight^T"},
                         },
                         {{"ln_pre", "image.pre_norm"}}};
  return (own + resblock_names().within("transformer.resblocks.", "image.blocks.")).within("visual.", "");
}

/// A picture tower of timm, for which open_clip has a head of its own.
NameTable read_timm_tower(PublishedConfig& vision, const Json& trunk, DualEncoderOptions& options) {
  const std::string name = vision.require<std::string>("timm_model_name");
  PublishedConfig arguments(trunk.is_null() ? vitamin_arguments(name, vision.where()) : trunk, vision.where());
  VitaminOptions tower = read_vitamin(arguments);
  arguments.done();
  tower.image = vision.pair("image_size", tower.image[0]);
  vision.expect<std::string>("timm_pool", "");  // the tower keeps its own
  vision.expect<std::string>("timm_proj", "linear");
  vision.ignore({"timm_model_pretrained", "timm_drop", "timm_drop_path"});
  options.image = of_kind("vitamin", tower);
  options.image_pool = vitamin_pool(tower);
  return NameTable{{"visual.head.proj.weight", "image_projection.weight"}} +
         vitamin_names("image.", "image_pool.").within("visual.trunk.", "");
}

Json read_open_clip_vision(PublishedConfig& vision, const std::string& activation) {
  VitOptions vit;
  vit.image = vision.pair("image_size", 224);
  vit.patch = vision.pair("patch_size", 16);
  vit.dim = vision.get<int64_t>("width", 768);
  vit.depth = vision.get<int64_t>("layers", 12);
  vit.heads = vit.dim / vision.get<int64_t>("head_width", 64);
  vit.ffn = static_cast<int64_t>(static_cast<double>(vit.dim) * vision.get<double>("mlp_ratio", 4));
  vit.activation = activation, vit.eps = 1e-5, vit.pre_norm = true, vit.patch_bias = false,
  vit.antialias_positions = true;
  return of_kind("vit", vit);
}

Assembly assemble_open_clip(const Json& json, const std::string& where) {
  PublishedConfig config(json.contains("model_cfg") ? json["model_cfg"] : json, where);
  const std::string activation = config.get<bool>("quick_gelu", false) ? "quick_gelu" : "gelu";
  PublishedConfig vision = config.nested("vision_cfg"), language = config.nested("text_cfg");
  TextTransformerOptions text;
  text.vocabulary = language.get<int64_t>("vocab_size", 49408);
  text.context = language.get<int64_t>("context_length", 77);
  text.dim = language.get<int64_t>("width", 512);
  text.depth = language.get<int64_t>("layers", 12);
  text.heads = language.get<int64_t>("heads", 8);
  text.ffn = static_cast<int64_t>(static_cast<double>(text.dim) * language.get<double>("mlp_ratio", 4));
  text.activation = activation;
  language.done();
  DualEncoderOptions options{.text = of_kind("text-transformer", text), .text_pool = "highest-id"};
  options.dim = config.require<int64_t>("embed_dim");
  // With a tower of timm, the text has a module of its own.
  const bool timm = vision.has("timm_model_name"), custom = config.get<bool>("custom_text", timm);
  NameTable names = {{"logit_scale", "logit_scale"}, {"logit_bias", "logit_bias"}};
  names = names + (custom ? open_clip_text_names().within("text.", "") : open_clip_text_names());
  if (timm) {
    names = names + read_timm_tower(vision, config.get<Json>("trunk", {}), options);
  } else {
    options.image = read_open_clip_vision(vision, activation);
    names = names + open_clip_vision_names();
  }
  vision.done();
  config.done();
  return {std::make_shared<DualEncoder>(options), names};
}

const FamilyRegistration open_clip({"open-clip", "CLIP (open_clip, OpenAI)",
                                    [](const Json& config) {
                                      return config.contains("model_cfg") || config.contains("vision_cfg");
                                    },
                                    assemble_open_clip});

// Tessera's own recipes: any encoder, any text encoder, the module's own names

const FamilyRegistration own({"dual-encoder", "two towers of any kind (Tessera)",
                              [](const Json& config) { return is_model_type(config, {"tessera-dual-encoder"}); },
                              [](const Json& json, const std::string& where) -> Assembly {
                                PublishedConfig config(json, where);
                                return {
                                    make_dual_encoder(config.nested("dual_encoder").json(), where + ": dual_encoder"),
                                    NameTable{{"*", "*"}}};
                              }});

}  // namespace
}  // namespace tessera
