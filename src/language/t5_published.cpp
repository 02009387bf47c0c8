// T5, its version 1.1, flan-T5 and mT5 as transformers publishes them.
#include "io/published_config.h"
#include "language/t5.h"
#include "layers/family.h"

namespace tessera {
namespace {

NameTable attention_names(const std::string& published, const std::string& path) {
  return NameTable{{"{q|k|v}.weight", "qkv.weight[{0|1|2}]"}, {"o.weight", "proj.weight"}}.within(published, path);
}

NameTable ffn_names(const std::string& published, const std::string& path) {
  return NameTable{
      {"wi.weight", "up.weight"}, {"{wi_0|wi_1}.weight", "gate_up.weight[{0|1}]"}, {"wo.weight", "down.weight"}}
      .within(published, path);
}

NameTable encoder_names() {
  const NameTable own = {
      {
          {"encoder.embed_tokens.weight", "words.weight", true},
          {"encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight", "encoder.distances.weight"},
          {"encoder.block.{n}.layer.0.layer_norm.weight", "encoder.blocks.{n}.norm1.weight"},
          {"encoder.block.{n}.layer.1.layer_norm.weight", "encoder.blocks.{n}.norm2.weight"},
          {"encoder.final_layer_norm.weight", "encoder.norm.weight"},
      },
      {{"encoder.block.{n}.layer.0", "encoder.blocks.{n}.mixed"}, {"encoder.block.{n}", "encoder.blocks.{n}"}}};
  return own + attention_names("encoder.block.{n}.layer.0.SelfAttention.", "encoder.blocks.{n}.attention.") +
         ffn_names("encoder.block.{n}.layer.1.DenseReluDense.", "encoder.blocks.{n}.ffn.");
}

NameTable decoder_names() {
  const NameTable own = {
      {
          {"decoder.embed_tokens.weight", "words.weight", true},
          {"decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight", "distances.weight"},
          {"decoder.block.{n}.layer.0.layer_norm.weight", "self.{n}.norm1.weight"},
          {"decoder.block.{n}.layer.1.layer_norm.weight", "cross.{n}.norm1.weight"},
          {"decoder.block.{n}.layer.2.layer_norm.weight", "cross.{n}.norm2.weight"},
          {"decoder.block.{n}.layer.1.EncDecAttention.q.weight", "cross.{n}.attention.q.weight"},
          {"decoder.block.{n}.layer.1.EncDecAttention.{k|v}.weight", "cross.{n}.attention.kv.weight[{0|1}]"},
          {"decoder.block.{n}.layer.1.EncDecAttention.o.weight", "cross.{n}.attention.proj.weight"},
          // The first T5 files hold a table that nothing reads.
          {"decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight", ""},
          {"decoder.final_layer_norm.weight", "norm.weight"},
      },
      {{"decoder.block.{n}.layer.0", "self.{n}"},
       {"decoder.block.{n}.layer.1", "cross.{n}.mixed"},
       {"decoder.block.{n}", "cross.{n}"}}};
  return own + attention_names("decoder.block.{n}.layer.0.SelfAttention.", "self.{n}.attention.") +
         ffn_names("decoder.block.{n}.layer.2.DenseReluDense.", "cross.{n}.ffn.");
}

NameTable names(bool tied) {
  const NameTable tied_head = {{"lm_head.weight", "words.weight", true}},
                  own_head = {{"lm_head.weight", "head.weight"}};
  return NameTable{{"shared.weight", "words.weight"}} + (tied ? tied_head : own_head) + encoder_names() +
         decoder_names();
}

/// "relu", "gated-gelu": the latter is the tanh form, whatever its name says.
void read_activation(PublishedConfig& config, T5Options& o) {
  std::string name = config.get<std::string>("feed_forward_proj", "relu");
  o.gated = name.starts_with("gated-");
  if (o.gated) name = name.substr(6);
  if (o.gated && name == "gelu") name = "gelu_new";
  o.activation = name;
  config.ignore({"dense_act_fn", "is_gated_act"});
}

Assembly assemble_t5(const Json& json, const std::string& where) {
  PublishedConfig config(json, where);
  const bool mt5 = is_model_type(json, {"mt5"});
  T5Options o;
  o.vocabulary = config.get<int64_t>("vocab_size", mt5 ? 250112 : 32128);
  o.dim = config.get<int64_t>("d_model", 512);
  o.head_dim = config.get<int64_t>("d_kv", 64);
  o.heads = config.get<int64_t>("num_heads", mt5 ? 6 : 8);
  o.ffn = config.get<int64_t>("d_ff", mt5 ? 1024 : 2048);
  o.encoder_depth = config.get<int64_t>("num_layers", mt5 ? 8 : 6);
  o.decoder_depth = config.get<int64_t>("num_decoder_layers", o.encoder_depth);
  o.buckets = config.get<int64_t>("relative_attention_num_buckets", 32);
  o.distance = config.get<int64_t>("relative_attention_max_distance", 128);
  o.eps = config.get<double>("layer_norm_epsilon", 1e-6);
  o.dropout = config.get<double>("dropout_rate", 0);
  o.start_id = config.get<int64_t>("decoder_start_token_id|pad_token_id", 0);
  // transformers 5 writes tie_word_embeddings true for all and says by the other key what is meant.
  o.tied = config.get<bool>("tie_word_embeddings", !mt5);
  o.tied = config.get<bool>("scale_decoder_outputs", o.tied);
  read_activation(config, o);
  config.ignore({"bos_token_id", "eos_token_id", "pad_token_id", "n_positions", "output_past", "tokenizer_class"});
  config.done();
  return {std::make_shared<T5>(o), names(o.tied)};
}

const FamilyRegistration family({"t5", "T5, T5 1.1, flan-T5, mT5, encoder-decoder (transformers)",
                                 [](const Json& config) {
                                   return is_model_type(config, {"t5", "mt5"});
                                 },
                                 assemble_t5});

}  // namespace
}  // namespace tessera
