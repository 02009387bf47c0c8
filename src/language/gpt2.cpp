// GPT-2: "Language Models are Unsupervised Multitask Learners" (Radford et al., 2019), as transformers publishes it.
#include "io/published_config.h"
#include "language/decoder.h"
#include "layers/family.h"

namespace tessera {
namespace {

NameTable names(bool tied) {
  // Its linear layers are stored as in x out. The first checkpoints have no prefix and carry the causal mask.
  const NameTable stack = {{
                               {"[transformer.]wte.weight", "words.weight"},
                               {"[transformer.]wpe.weight", "positions.weight"},
                               {"[transformer.]ln_f.*", "norm.*"},
                               {"[transformer.]h.{n}.ln_{m}.*", "blocks.{n}.norm{m}.*"},
                               {"[transformer.]h.{n}.attn.c_attn.weight", "blocks.{n}.attention.qkv.weight^T"},
                               {"[transformer.]h.{n}.attn.c_attn.bias", "blocks.{n}.attention.qkv.bias"},
                               {"[transformer.]h.{n}.attn.c_proj.weight", "blocks.{n}.attention.proj.weight^T"},
                               {"[transformer.]h.{n}.attn.c_proj.bias", "blocks.{n}.attention.proj.bias"},
                               {"[transformer.]h.{n}.mlp.c_fc.weight", "blocks.{n}.ffn.up.weight^T"},
                               {"[transformer.]h.{n}.mlp.c_fc.bias", "blocks.{n}.ffn.up.bias"},
                               {"[transformer.]h.{n}.mlp.c_proj.weight", "blocks.{n}.ffn.down.weight^T"},
                               {"[transformer.]h.{n}.mlp.c_proj.bias", "blocks.{n}.ffn.down.bias"},
                               {"[transformer.]h.{n}.attn.bias", ""},
                               {"[transformer.]h.{n}.attn.masked_bias", ""},
                           },
                           {{"[transformer.]h.{n}", "blocks.{n}"},
                            {"[transformer.]h.{n}.attn", "blocks.{n}.attention"},
                            {"[transformer.]ln_f", "norm"}}};
  const NameTable tied_head = {{"lm_head.weight", "words.weight", true}}, own_head = {{"lm_head.*", "head.*"}};
  return (tied ? tied_head : own_head) + stack;
}

Assembly assemble_gpt2(const Json& json, const std::string& where) {
  PublishedConfig config(json, where);
  DecoderOptions o;
  o.vocabulary = config.get<int64_t>("vocab_size", 50257);
  o.dim = config.get<int64_t>("n_embd", 768);
  o.depth = config.get<int64_t>("n_layer", 12);
  o.heads = config.get<int64_t>("n_head", 12);
  o.ffn = config.get<int64_t>("n_inner", 4 * o.dim);
  o.context = config.get<int64_t>("n_positions", 1024);
  o.activation = config.get<std::string>("activation_function", "gelu_new");
  o.eps = config.get<double>("layer_norm_epsilon", 1e-5);
  o.dropout = config.get<double>("resid_pdrop", 0);
  o.scale = config.get<bool>("scale_attn_weights", true) ? 0 : 1;
  o.scale_by_layer = config.get<bool>("scale_attn_by_inverse_layer_idx", false);
  o.tied = config.get<bool>("tie_word_embeddings", true);
  config.expect("add_cross_attention", false);
  config.ignore({"n_ctx", "embd_pdrop", "attn_pdrop", "reorder_and_upcast_attn", "bos_token_id", "eos_token_id",
                 "pad_token_id", "summary_type", "summary_use_proj", "summary_activation", "summary_proj_to_labels",
                 "summary_first_dropout"});
  config.done();
  return {std::make_shared<Decoder>(o), names(o.tied)};
}

const FamilyRegistration family({"gpt2", "GPT-2, language model (transformers)",
                                 [](const Json& config) { return is_model_type(config, {"gpt2"}); }, assemble_gpt2});

}  // namespace
}  // namespace tessera
