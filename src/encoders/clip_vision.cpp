#include "encoders/clip_vision.h"

namespace tessera {

VitOptions read_clip_vision(PublishedConfig& config, ClipVision kind) {
  const bool clip = kind == ClipVision::kClip;
  VitOptions vit;
  vit.image = config.pair("image_size", 224);
  vit.patch = config.pair("patch_size", kind == ClipVision::kSiglip ? 16 : 32);
  vit.channels = config.get<int64_t>("num_channels", 3);
  vit.dim = config.get<int64_t>("hidden_size", 768);
  vit.depth = config.get<int64_t>("num_hidden_layers", 12);
  vit.heads = config.get<int64_t>("num_attention_heads", 12);
  vit.ffn = config.get<int64_t>("intermediate_size", 3072);
  vit.activation = config.get<std::string>("hidden_act", clip ? "quick_gelu" : "gelu_pytorch_tanh");
  vit.eps = config.get<double>("layer_norm_eps", clip ? 1e-5 : 1e-6);
  vit.class_token = vit.pre_norm = clip;
  vit.patch_bias = !clip;
  vit.fractional_positions = kind == ClipVision::kIdefics2;
  config.ignore({"projection_dim", "dropout"});
  return vit;
}

NameTable clip_layer_names() {
  return {{
              {"{n}.self_attn.{q_proj|k_proj|v_proj}.*", "{n}.attention.qkv.*[{0|1|2}]"},
              {"{n}.self_attn.out_proj.*", "{n}.attention.proj.*"},
              {"{n}.layer_norm{m}.*", "{n}.norm{m}.*"},
              {"{n}.mlp.fc1.*", "{n}.ffn.up.*"},
              {"{n}.mlp.fc2.*", "{n}.ffn.down.*"},
          },
          {{"{n}", "{n}"}}};
}

NameTable clip_vision_names() {
  const NameTable own = {{
                             {"embeddings.class_embedding", "class_token"},
                             {"embeddings.patch_embedding.*", "patch.*"},
                             {"embeddings.position_embedding.weight", "positions"},
                             {"embeddings.position_ids", ""},
                             {"pre_layrnorm.*", "pre_norm.*"},  // the published spelling
                             {"post_layernorm.*", "norm.*"},
                         },
                         {{"embeddings", "embed"}, {"post_layernorm", "norm"}}};
  return own + clip_layer_names().within("encoder.layers.", "blocks.");
}

NameTable siglip_head_names() {
  return {
      {"head.probe", "probe"},
      {"head.attention.in_proj_weight", "qkv.weight"},
      {"head.attention.in_proj_bias", "qkv.bias"},
      {"head.attention.out_proj.*", "proj.*"},
      {"head.layernorm.*", "norm.*"},
      {"head.mlp.fc1.*", "ffn.up.*"},
      {"head.mlp.fc2.*", "ffn.down.*"},
  };
}

}  // namespace tessera
