// BART as transformers publishes it, by itself and within other models.
#include "language/bart.h"

namespace tessera {
namespace {

NameTable layer_names(const std::string& block, const std::string& ffn_block) {
  const NameTable attention = {{"self_attn.{q_proj|k_proj|v_proj}.*", "attention.qkv.*[{0|1|2}]"},
                               {"self_attn.out_proj.*", "attention.proj.*"},
                               {"self_attn_layer_norm.*", "norm1.*"}};
  const NameTable ffn = {
      {"fc1.*", "ffn.up.*"}, {"fc2.*", "ffn.down.*"}, {"final_layer_norm.*", "norm2.*"}};  // of the feed-forward
  return attention.within("layers.{n}.", block + ".{n}.") + ffn.within("layers.{n}.", ffn_block + ".{n}.") +
         NameTable({}, {{"layers.{n}", (ffn_block + ".{n}").c_str()}});
}

NameTable encoder_names() {
  const NameTable own = {{"embed_positions.weight", "positions.weight"}, {"layernorm_embedding.*", "norm.*"}};
  return (own + layer_names("blocks", "blocks")).within("encoder.", "encoder.") +
         NameTable({}, {{"encoder", "encoder"}});
}

NameTable decoder_names() {
  const NameTable reader = {{"encoder_attn.q_proj.*", "attention.q.*"},
                            {"encoder_attn.{k_proj|v_proj}.*", "attention.kv.*[{0|1}]"},
                            {"encoder_attn.out_proj.*", "attention.proj.*"},
                            {"encoder_attn_layer_norm.*", "norm1.*"}};
  const NameTable own = {{"embed_positions.weight", "positions.weight"}, {"layernorm_embedding.*", "norm.*"}};
  return (own + layer_names("self", "cross") + reader.within("layers.{n}.", "cross.{n}.")).within("decoder.", "");
}

Assembly assemble_bart(const Json& json, const std::string& where) {
  PublishedConfig config(json, where);
  BartOptions o = read_bart(config);
  config.done();
  // The files of a model without head have no vector for the logits.
  const Json architectures = json.value("architectures", Json());
  o.logits_bias = !(architectures.is_array() && architectures == Json{"BartModel"});
  const NameTable head = {{"lm_head.weight", "words.weight", true}, {"final_logits_bias", "logits_bias"}};
  return {std::make_shared<Bart>(o), head + bart_names().within(o.logits_bias ? "[model.]" : "", "")};
}

const FamilyRegistration family({"bart", "BART, encoder-decoder (transformers)",
                                 [](const Json& config) { return is_model_type(config, {"bart"}); }, assemble_bart});

}  // namespace

BartOptions read_bart(PublishedConfig& config) {
  BartOptions o;
  o.vocabulary = config.get<int64_t>("vocab_size", 50265);
  o.dim = config.get<int64_t>("d_model", 1024);
  o.context = config.get<int64_t>("max_position_embeddings", 1024);
  o.encoder_depth = config.get<int64_t>("encoder_layers", 12);
  o.encoder_heads = config.get<int64_t>("encoder_attention_heads", 16);
  o.encoder_ffn = config.get<int64_t>("encoder_ffn_dim", 4096);
  o.decoder_depth = config.get<int64_t>("decoder_layers", 12);
  o.decoder_heads = config.get<int64_t>("decoder_attention_heads", 16);
  o.decoder_ffn = config.get<int64_t>("decoder_ffn_dim", 4096);
  o.activation = config.get<std::string>("activation_function", "gelu");
  o.dropout = config.get<double>("dropout", 0);
  o.scaled_words = config.get<bool>("scale_embedding", false);
  o.start_id = config.get<int64_t>("decoder_start_token_id", 2);
  config.expect("normalize_embedding", true);
  config.expect("tie_word_embeddings", true);
  for (const char* key : {"normalize_before", "add_final_layer_norm", "add_bias_logits", "static_position_embeddings"})
    config.expect(key, false);
  config.ignore({"encoder_layerdrop", "decoder_layerdrop", "activation_dropout", "init_std", "classif_dropout",
                 "pad_token_id", "bos_token_id", "eos_token_id", "num_hidden_layers", "extra_pos_embeddings",
                 "force_bos_token_to_be_generated", "save_step"});
  return o;
}

NameTable bart_names() {
  const NameTable shared = {{"shared.weight", "words.weight"},
                            {"encoder.embed_tokens.weight", "words.weight", true},
                            {"decoder.embed_tokens.weight", "words.weight", true}};
  return shared + encoder_names() + decoder_names();
}

}  // namespace tessera
