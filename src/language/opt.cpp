// "OPT: Open Pre-trained Transformer Language Models" (Zhang et al., 2022), as transformers publishes it.
#include "io/published_config.h"
#include "language/decoder.h"
#include "layers/family.h"

namespace tessera {
namespace {

NameTable names(const DecoderOptions& o) {
  const NameTable layer = {{
                               {"{n}.self_attn.{q_proj|k_proj|v_proj}.*", "{n}.attention.qkv.*[{0|1|2}]"},
                               {"{n}.self_attn.out_proj.*", "{n}.attention.proj.*"},
                               {"{n}.self_attn_layer_norm.*", "{n}.norm1.*"},
                               {"{n}.fc1.*", "{n}.ffn.up.*"},
                               {"{n}.fc2.*", "{n}.ffn.down.*"},
                               {"{n}.final_layer_norm.*", "{n}.norm2.*"},  // of the feed-forward
                           },
                           {{"{n}", "{n}"}, {"{n}.self_attn", "{n}.attention"}}};
  const NameTable own = {{
                             {"lm_head.weight", "words.weight", true},
                             {"[model.]decoder.embed_tokens.weight", "words.weight"},
                             {"[model.]decoder.embed_positions.weight", "positions.weight"},
                             {"[model.]decoder.final_layer_norm.*", "norm.*"},
                             {"[model.]decoder.project_in.*", "project_in.*"},
                             {"[model.]decoder.project_out.*", "project_out.*"},
                         },
                         {{"model.decoder", o.embedding_dim > 0 ? "project_out" : "norm"}}};
  return own + layer.within("[model.]decoder.layers.", "blocks.");
}

Assembly assemble_opt(const Json& json, const std::string& where) {
  PublishedConfig config(json, where);
  DecoderOptions o;
  o.vocabulary = config.get<int64_t>("vocab_size", 50272);
  o.dim = config.get<int64_t>("hidden_size", 768);
  o.depth = config.get<int64_t>("num_hidden_layers", 12);
  o.heads = config.get<int64_t>("num_attention_heads", 12);
  o.ffn = config.get<int64_t>("ffn_dim", 3072);
  o.context = config.get<int64_t>("max_position_embeddings", 2048);
  o.position_offset = 2;
  o.post_norm = !config.get<bool>("do_layer_norm_before", true);
  o.activation = config.get<std::string>("activation_function", "relu");
  o.qkv_bias = o.proj_bias = o.ffn_bias = config.get<bool>("enable_bias", true);
  o.dropout = config.get<double>("dropout", 0);
  const int64_t width = config.get<int64_t>("word_embed_proj_dim", o.dim);
  o.embedding_dim = width == o.dim ? 0 : width;
  config.expect("layer_norm_elementwise_affine", true);
  config.expect("_remove_final_layer_norm", false);
  config.expect("tie_word_embeddings", true);
  config.ignore({"activation_dropout", "layerdrop", "init_std", "bos_token_id", "eos_token_id", "pad_token_id"});
  config.done();
  return {std::make_shared<Decoder>(o), names(o)};
}

const FamilyRegistration family({"opt", "OPT, language model (transformers)",
                                 [](const Json& config) { return is_model_type(config, {"opt"}); }, assemble_opt});

}  // namespace
}  // namespace tessera
