// "What matters when building vision-language models?" (Laurençon et al., 2024), as transformers publishes it; the base
// of Cephalo (Buehler, 2024).
#include "vlm/idefics2.h"

#include "bridges/perceiver.h"
#include "vlm/published.h"

namespace tessera {

std::vector<Tensor> Idefics2::picture_tokens(const MultimodalBatch& batch) {
  MultimodalBatch flat = batch;
  ImageBatch& pictures = flat.pictures;
  if (!pictures.pixel_values.defined() || pictures.pixel_values.dim() != 5) return VisionLanguage::picture_tokens(flat);
  const Tensor all = pictures.pixel_values.flatten(0, 1);
  const Tensor real = all.flatten(1).ne(0).any(1).nonzero().squeeze(1);
  pictures.pixel_values = all.index_select(0, real);
  if (pictures.pixel_mask.defined()) pictures.pixel_mask = pictures.pixel_mask.flatten(0, 1).index_select(0, real);
  return VisionLanguage::picture_tokens(flat);
}

std::string Idefics2::expand_placeholders(const std::string& text, const ImageBatch& pictures) const {
  const std::string around = "<fake_token_around_image>", twice = around + around;
  const int64_t parts =
      picture_count(pictures) > 0 && pictures.pixel_values.dim() == 5 ? pictures.pixel_values.size(1) : 1;
  std::string expanded = replace_each(text, pictures, [&](const std::string& places) {
    std::string all = around;
    for (int64_t i = 0; i < parts; ++i) all += places + around;
    return all;
  });
  for (size_t at = expanded.find(twice); at != std::string::npos; at = expanded.find(twice, at))
    expanded.erase(at, around.size());
  return expanded;
}

std::string Idefics2::question_prompt(const std::string& question, int64_t pictures) const {
  return "User:" + places(pictures) + question + "<end_of_utterance>\nAssistant:";
}

namespace {

NameTable connector_names() {
  const NameTable layer = {{
                               {"{n}.input_latents_norm.weight", "{n}.latents_norm.weight"},
                               {"{n}.input_context_norm.weight", "{n}.context_norm.weight"},
                               {"{n}.self_attn.q_proj.weight", "{n}.attention.q.weight"},
                               {"{n}.self_attn.{k_proj|v_proj}.weight", "{n}.attention.kv.weight[{0|1}]"},
                               {"{n}.self_attn.o_proj.weight", "{n}.attention.proj.weight"},
                               {"{n}.post_attention_layernorm.weight", "{n}.norm.weight"},
                               {"{n}.mlp.{gate_proj|up_proj}.weight", "{n}.ffn.gate_up.weight[{0|1}]"},
                               {"{n}.mlp.down_proj.weight", "{n}.ffn.down.weight"},
                           },
                           {{"{n}", "{n}"}}};
  const NameTable own = {{
                             {"modality_projection.{gate_proj|up_proj}.weight", "projection.gate_up.weight[{0|1}]"},
                             {"modality_projection.down_proj.weight", "projection.down.weight"},
                             {"perceiver_resampler.latents", "latents"},
                             {"perceiver_resampler.norm.weight", "norm.weight"},
                         },
                         {{"modality_projection", "projection"}, {"perceiver_resampler", "norm"}}};
  return own + layer.within("perceiver_resampler.layers.", "layers.");
}

PerceiverBridgeOptions read_perceiver(PublishedConfig config, PublishedConfig text, int64_t dim, int64_t width) {
  PerceiverBridgeOptions o;
  o.dim = dim, o.width = width;
  o.projection = text.get<int64_t>("intermediate_size", 14336);
  o.projection_activation = text.get<std::string>("hidden_act", "silu");
  o.latents = config.get<int64_t>("resampler_n_latents", o.latents);
  o.depth = config.get<int64_t>("resampler_depth", o.depth);
  o.heads = config.get<int64_t>("resampler_n_heads", o.heads);
  o.head_dim = config.get<int64_t>("resampler_head_dim", o.head_dim);
  o.kv_heads = config.get<int64_t>("num_key_value_heads", o.kv_heads);
  o.activation = config.get<std::string>("hidden_act", o.activation);
  o.eps = config.get<double>("rms_norm_eps", o.eps);
  // Files that say nothing of it mean the text's; 4096 is the config class's own default, which some carry unread.
  if (const int64_t said = config.get<int64_t>("hidden_size", width); said != width && said != 4096)
    throw Error("the resampler's width " + std::to_string(said) + " is not the text's " + std::to_string(width),
                config.where() + ": hidden_size");
  config.done();
  return o;
}

Assembly assemble_idefics2(const Json& json, const std::string& where) {
  PublishedConfig config(json, where);
  const VisionTower tower = read_vision_tower(config.nested("vision_config"), "idefics2_vision");
  const auto encoder = std::make_shared<Vit>(tower.options);
  const PublishedConfig text = config.nested("text_config");
  const Assembly language = read_language_model(text, "mistral");
  const auto model = std::dynamic_pointer_cast<LanguageModel>(language.module);
  const auto bridge = std::make_shared<PerceiverBridge>(
      read_perceiver(config.nested("perceiver_config"), text, encoder->width(), model->width()));
  const VisionLanguageOptions options{.placeholder_id = read_placeholder(config, "image_token_id", 32001)};
  config.ignore({"pad_token_id", "bos_token_id", "eos_token_id"});
  config.done();
  return {std::make_shared<Idefics2>(VisionLanguageParts{encoder, bridge, model}, options),
          top_head_names(*model) + tower.names.within("model.vision_model.", "encoder.") +
              NameTable{{}, {{"model.connector", "bridge"}}} + connector_names().within("model.connector.", "bridge.") +
              language.names.without("model.").within("model.text_model.", "language.")};
}

const FamilyRegistration family({"idefics2", "Idefics2 (transformers)",
                                 [](const Json& config) { return is_model_type(config, {"idefics2"}); },
                                 assemble_idefics2});

}  // namespace
}  // namespace tessera
