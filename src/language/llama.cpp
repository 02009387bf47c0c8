// LLaMA (Touvron et al., 2023) and its relatives of the same names: Llama 2 and 3, Yi, Mistral (Jiang et al., 2023),
// Qwen2 (2024), as transformers publishes them.
#include "language/llama.h"

#include "language/published_rotary.h"
#include "layers/attention.h"

namespace tessera {

DecoderOptions read_llama(PublishedConfig& config) {
  DecoderOptions o;
  o.vocabulary = config.get<int64_t>("vocab_size", 32000);
  o.dim = config.get<int64_t>("hidden_size", 4096);
  o.depth = config.get<int64_t>("num_hidden_layers", 32);
  o.heads = config.get<int64_t>("num_attention_heads", 32);
  o.kv_heads = config.get<int64_t>("num_key_value_heads", o.heads);
  o.head_dim = config.get<int64_t>("head_dim", 0);
  o.ffn = config.get<int64_t>("intermediate_size", 11008);
  o.context = config.get<int64_t>("max_position_embeddings", 2048);
  o.activation = config.get<std::string>("hidden_act", "silu");
  o.eps = config.get<double>("rms_norm_eps", 1e-6);
  o.tied = config.get<bool>("tie_word_embeddings", false);
  o.positions = "rotary", o.norm = "rms", o.gated = true;
  o.rotary = read_rotary(config, o.context);
  o.qkv_bias = o.proj_bias = o.ffn_bias = false;
  const int64_t padding = config.get<int64_t>("pad_token_id", -1);
  if (padding < o.vocabulary) o.padding_id = std::max<int64_t>(padding, -1);
  config.ignore({"bos_token_id", "eos_token_id"});
  return o;
}

NameTable llama_frame_names(bool tied) {
  const NameTable frame = {{
                               {"[model.]embed_tokens.weight", "words.weight"},
                               {"[model.]norm.weight", "norm.weight"},
                               {"[model.]layers.{n}.input_layernorm.weight", "blocks.{n}.norm1.weight"},
                               {"[model.]layers.{n}.post_attention_layernorm.weight", "blocks.{n}.norm2.weight"},
                               {"[model.]layers.{n}.self_attn.o_proj.*", "blocks.{n}.attention.proj.*"},
                               {"[model.]layers.{n}.mlp.down_proj.*", "blocks.{n}.ffn.down.*"},
                               {"[model.]layers.{n}.self_attn.rotary_emb.inv_freq", ""},
                           },
                           {{"[model.]layers.{n}", "blocks.{n}"},
                            {"[model.]layers.{n}.self_attn", "blocks.{n}.attention"},
                            {"[model.]norm", "norm"}}};
  const NameTable tied_head = {{"lm_head.weight", "words.weight", true}},
                  own_head = {{"lm_head.weight", "head.weight"}};
  return (tied ? tied_head : own_head) + frame;
}

NameTable llama_names(const DecoderOptions& o) {
  const std::string qkv = "blocks.{n}.attention.qkv.*" + qkv_parts(o.heads, o.kv_heads);
  return llama_frame_names(o.tied) +
         NameTable{{"[model.]layers.{n}.self_attn.{q_proj|k_proj|v_proj}.*", qkv.c_str()},
                   {"[model.]layers.{n}.mlp.{gate_proj|up_proj}.*", "blocks.{n}.ffn.gate_up.*[{0|1}]"}};
}

std::vector<int64_t> read_windows(PublishedConfig& config, std::vector<std::string> types, int64_t window) {
  const size_t depth = types.size();
  types = config.get<std::vector<std::string>>("layer_types", types);
  if (types.size() != depth)
    throw Error("lists " + std::to_string(types.size()) + " layers of " + std::to_string(depth),
                config.where() + ": layer_types");
  std::vector<int64_t> windows;
  for (const std::string& type : types) {
    check_choice(type, {"full_attention", "sliding_attention"}, config.where() + ": layer_types");
    windows.push_back(type == "sliding_attention" ? window : 0);
  }
  return windows;
}

Json with_defaults(const Json& json, Json defaults) {
  defaults.update(json);
  return defaults;
}

namespace {

/// Windows from layer `first` on.
std::vector<std::string> types_from(int64_t first, int64_t depth) {
  std::vector<std::string> types;
  for (int64_t i = 0; i < depth; ++i) types.emplace_back(i < first ? "full_attention" : "sliding_attention");
  return types;
}

/// A key of which null says that there is none, and absence that there is the default.
int64_t window_of(PublishedConfig& config, int64_t otherwise) {
  const bool none = config.json().contains("sliding_window") && !config.has("sliding_window");
  return config.get<int64_t>("sliding_window", none ? 0 : otherwise);
}

Assembly assembly_of(const DecoderOptions& options) {
  return {std::make_shared<Decoder>(options), llama_names(options)};
}

Assembly assemble_llama(const Json& json, const std::string& where) {
  PublishedConfig config(json, where);
  DecoderOptions o = read_llama(config);
  o.qkv_bias = o.proj_bias = config.get<bool>("attention_bias", false);
  o.ffn_bias = config.get<bool>("mlp_bias", false);
  config.ignore({"pretraining_tp"});  // how a product was split over devices
  config.done();
  return assembly_of(o);
}

Assembly assemble_mistral(const Json& json, const std::string& where) {
  PublishedConfig config(
      with_defaults(json,
                    {{"num_key_value_heads", 8}, {"intermediate_size", 14336}, {"max_position_embeddings", 131072}}),
      where);
  DecoderOptions o = read_llama(config);
  const int64_t window = window_of(config, 4096);
  if (window > 0) o.windows = read_windows(config, types_from(0, o.depth), window);
  config.ignore({"layer_types"});
  config.done();
  return assembly_of(o);
}

Assembly assemble_qwen2(const Json& json, const std::string& where) {
  PublishedConfig config(with_defaults(json, {{"vocab_size", 151936},
                                              {"num_key_value_heads", 32},
                                              {"intermediate_size", 22016},
                                              {"max_position_embeddings", 32768}}),
                         where);
  DecoderOptions o = read_llama(config);
  o.qkv_bias = true;
  const int64_t window = window_of(config, 4096), first = config.get<int64_t>("max_window_layers", 28);
  if (config.get<bool>("use_sliding_window", false) && window > 0)
    o.windows = read_windows(config, types_from(first, o.depth), window);
  config.ignore({"layer_types"});
  config.done();
  return assembly_of(o);
}

const FamilyRegistration llama({"llama", "LLaMA, Llama 2 and 3, Yi, language model (transformers)",
                                [](const Json& config) { return is_model_type(config, {"llama"}); }, assemble_llama});
const FamilyRegistration mistral({"mistral", "Mistral, language model (transformers)",
                                  [](const Json& config) { return is_model_type(config, {"mistral"}); },
                                  assemble_mistral});
const FamilyRegistration qwen2({"qwen2", "Qwen2, language model (transformers)",
                                [](const Json& config) { return is_model_type(config, {"qwen2"}); }, assemble_qwen2});

}  // namespace
}  // namespace tessera
