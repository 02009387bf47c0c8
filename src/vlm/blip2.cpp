// BLIP-2 (Li et al., 2023) and InstructBLIP (Dai et al., 2023): a ViT, a Q-Former and a language model, as transformers
// publishes them.
#include "bridges/q_former.h"
#include "encoders/vit.h"
#include "language/encoder_decoder.h"
#include "text/tokenizer.h"
#include "vlm/published.h"

namespace tessera {
namespace {

/// Answers "Question: ... Answer:", and says what it sees where it is asked nothing.
class Blip2 : public VisionLanguage {
 public:
  using VisionLanguage::VisionLanguage;
  std::string question_prompt(const std::string& question, int64_t pictures) const override {
    return places(pictures) + "Question: " + question + " Answer:";
  }
  std::string caption_prompt(const CaptionLanguage& language, int64_t pictures) const override {
    english_alone(language);
    return places(pictures);
  }
  Encoding prompt_ids(const std::string& prompt, const Tokenizer& tokenizer) const override {
    return ids_behind_places(prompt, tokenizer);
  }
};

/// Follows an instruction, which its bridge reads as well, as it stands.
class InstructBlip : public Blip2 {
 public:
  using Blip2::Blip2;
  std::string question_prompt(const std::string& question, int64_t pictures) const override {
    return places(pictures) + question;
  }
  std::string caption_prompt(const CaptionLanguage& language, int64_t pictures) const override {
    return VisionLanguage::caption_prompt(language, pictures);
  }
};

VitOptions read_vision(PublishedConfig config) {
  VitOptions vit;
  vit.image = config.pair("image_size", 224);
  vit.patch = config.pair("patch_size", 14);
  vit.channels = config.get<int64_t>("num_channels", 3);
  vit.dim = config.get<int64_t>("hidden_size", 1408);
  vit.depth = config.get<int64_t>("num_hidden_layers", 39);
  vit.heads = config.get<int64_t>("num_attention_heads", 16);
  vit.ffn = config.get<int64_t>("intermediate_size", 6144);
  vit.activation = config.get<std::string>("hidden_act", "gelu");
  vit.eps = config.get<double>("layer_norm_eps", 1e-6);
  vit.qkv_bias = config.get<bool>("qkv_bias", true);
  vit.dropout = config.get<double>("dropout", 0);
  config.ignore({"projection_dim"});
  config.done();
  return vit;
}

QFormerOptions read_former(PublishedConfig config, bool instruct) {
  QFormerOptions former;
  former.dim = config.get<int64_t>("hidden_size", 768);
  former.depth = config.get<int64_t>("num_hidden_layers", 12);
  former.heads = config.get<int64_t>("num_attention_heads", 12);
  former.ffn = config.get<int64_t>("intermediate_size", 3072);
  former.visual_dim = config.get<int64_t>("encoder_hidden_size", 1408);
  former.cross_every = config.get<int64_t>("cross_attention_frequency", 2);
  former.activation = config.get<std::string>("hidden_act", "gelu");
  former.eps = config.get<double>("layer_norm_eps", 1e-12);
  former.dropout = config.get<double>("hidden_dropout_prob", 0.1);
  former.vocabulary = config.get<int64_t>("vocab_size", 30522);
  former.positions = config.get<int64_t>("max_position_embeddings", 512);
  former.reads_text = instruct;
  config.expect("position_embedding_type", std::string("absolute"));
  config.expect("use_qformer_text_input", false);
  config.ignore({"pad_token_id"});
  config.done();
  return former;
}

/// The vision model: a class token, query, key and value as one tensor.
NameTable vision_names() {
  const NameTable layer = {{
      {"self_attn.qkv.*", "attention.qkv.*"},
      {"self_attn.projection.*", "attention.proj.*"},
      {"layer_norm1.*", "norm1.*"},
      {"layer_norm2.*", "norm2.*"},
      {"mlp.fc1.*", "ffn.up.*"},
      {"mlp.fc2.*", "ffn.down.*"},
  }};
  const NameTable own = {{
                             {"embeddings.class_embedding", "class_token"},
                             {"embeddings.position_embedding", "positions"},
                             {"embeddings.patch_embedding.*", "patch.*"},
                             {"post_layernorm.*", "norm.*"},
                         },
                         {{"post_layernorm", "norm"}, {"encoder.layers.{n}", "blocks.{n}"}}};
  return own + layer.within("encoder.layers.{n}.", "blocks.{n}.");
}

NameTable names(bool instruct, const NameTable& language) {
  const NameTable own = {
      {{"query_tokens", "bridge.queries"}, {"language_projection.*", "bridge.projection.*"}},
      {{"language_projection", "bridge.projection"}, {"qformer.last_hidden_state", "bridge.former"}}};
  return own + vision_names().within("vision_model.", "encoder.") +
         q_former_names(instruct ? QFormerFiles::kInstructBlip : QFormerFiles::kBlip2)
             .within("qformer.", "bridge.former.") +
         language.within("language_model.", "language.");
}

void check(const VitOptions& vit, const QFormerOptions& former, const std::string& where) {
  if (vit.dim != former.visual_dim)
    throw Error("the Q-Former reads tokens of width " + std::to_string(former.visual_dim) +
                    ", the vision model makes " + std::to_string(vit.dim),
                where + ": qformer_config: encoder_hidden_size", "the parts do not belong together");
}

Assembly assemble_blip2(const Json& json, const std::string& where) {
  PublishedConfig config(json, where);
  const bool instruct = is_model_type(json, {"instructblip"});
  const VitOptions vit = read_vision(config.nested("vision_config"));
  QFormerBridgeOptions bridge;
  bridge.former = read_former(config.nested("qformer_config"), instruct);
  check(vit, bridge.former, where);
  const Assembly language = read_language_model(config.nested("text_config"), "opt");
  const auto model = std::dynamic_pointer_cast<LanguageModel>(language.module);
  bridge.queries = config.get<int64_t>("num_query_tokens", 32);
  bridge.width = model->width();
  // Files from before the placeholders have the picture stand before the text.
  VisionLanguageOptions options{.join = "prepend", .features = "all"};
  if (config.has("image_token_index")) options.join = "replace";
  options.placeholder_id = config.get<int64_t>("image_token_index", -1);
  const bool decoder_only = !std::dynamic_pointer_cast<EncoderDecoder>(model);
  config.expect("use_decoder_only_language_model", decoder_only);
  config.ignore({"image_text_hidden_size", "bos_token_id", "eos_token_id", "pad_token_id"});
  config.done();
  const VisionLanguageParts parts{std::make_shared<Vit>(vit), std::make_shared<QFormerBridge>(bridge), model};
  const NameTable table = names(instruct, language.names);
  if (instruct) return {std::make_shared<InstructBlip>(parts, options), table};
  return {std::make_shared<Blip2>(parts, options), table};
}

const FamilyRegistration family({"blip-2", "BLIP-2 and InstructBLIP, with OPT, T5 or LLaMA (transformers)",
                                 [](const Json& config) {
                                   return is_model_type(config, {"blip-2", "instructblip"});
                                 },
                                 assemble_blip2});

}  // namespace
}  // namespace tessera
