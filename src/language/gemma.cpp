// Gemma (2024) and Gemma 2 (2024), as transformers publishes them: LLaMA's block with scaled embeddings, zero-centred
// norms and a tanh-GELU gate; the second with further norms, capped scores and logits, and windows in every other
// layer.
#include <cmath>

#include "language/llama.h"

namespace tessera {
namespace {

DecoderOptions read_gemma(PublishedConfig& config) {
  DecoderOptions o = read_llama(config);
  o.norm = "zero-centred-rms";
  o.embedding_scale = std::sqrt(static_cast<double>(o.dim));
  // `hidden_act` says "gelu" in the first files, and the tanh form was meant; `hidden_activation` came to correct it.
  o.activation = config.get<std::string>("hidden_activation", "gelu_pytorch_tanh");
  o.qkv_bias = o.proj_bias = config.get<bool>("attention_bias", false);
  config.expect("use_bidirectional_attention", false);
  config.ignore({"cache_implementation"});
  return o;
}

Assembly assemble_gemma(const Json& json, const std::string& where) {
  PublishedConfig config(with_defaults(json, {{"vocab_size", 256000},
                                              {"hidden_size", 3072},
                                              {"num_hidden_layers", 28},
                                              {"num_attention_heads", 16},
                                              {"head_dim", 256},
                                              {"intermediate_size", 24576},
                                              {"max_position_embeddings", 8192},
                                              {"pad_token_id", 0},
                                              {"tie_word_embeddings", true}}),
                         where);
  const DecoderOptions o = read_gemma(config);
  config.done();
  return {std::make_shared<Decoder>(o), llama_names(o)};
}

std::vector<std::string> every_other(int64_t depth) {
  std::vector<std::string> types;
  for (int64_t i = 0; i < depth; ++i) types.emplace_back(i % 2 == 0 ? "sliding_attention" : "full_attention");
  return types;
}

Assembly assemble_gemma2(const Json& json, const std::string& where) {
  PublishedConfig config(with_defaults(json, {{"vocab_size", 256000},
                                              {"hidden_size", 2304},
                                              {"num_hidden_layers", 26},
                                              {"num_attention_heads", 8},
                                              {"num_key_value_heads", 4},
                                              {"head_dim", 256},
                                              {"intermediate_size", 9216},
                                              {"max_position_embeddings", 8192},
                                              {"pad_token_id", 0},
                                              {"tie_word_embeddings", true}}),
                         where);
  DecoderOptions o = read_gemma(config);
  o.sandwich_norm = true;
  o.scale = 1 / std::sqrt(config.get<double>("query_pre_attn_scalar", 256));
  o.windows = read_windows(config, every_other(o.depth), config.get<int64_t>("sliding_window", 4096));
  const auto cap = [&](const char* key, double otherwise) {
    const bool none = json.contains(key) && json.at(key).is_null();
    return config.get<double>(key, none ? 0 : otherwise);
  };
  o.attention_cap = cap("attn_logit_softcapping", 50);
  o.logit_cap = cap("final_logit_softcapping", 30);
  config.done();
  const NameTable norms = {{"[model.]layers.{n}.post_attention_layernorm.weight", "blocks.{n}.after1.weight"},
                           {"[model.]layers.{n}.pre_feedforward_layernorm.weight", "blocks.{n}.norm2.weight"},
                           {"[model.]layers.{n}.post_feedforward_layernorm.weight", "blocks.{n}.after2.weight"}};
  return {std::make_shared<Decoder>(o), norms + llama_names(o)};
}

const FamilyRegistration gemma({"gemma", "Gemma, language model (transformers)",
                                [](const Json& config) { return is_model_type(config, {"gemma"}); }, assemble_gemma});
const FamilyRegistration gemma2({"gemma2", "Gemma 2, language model (transformers)",
                                 [](const Json& config) { return is_model_type(config, {"gemma2"}); },
                                 assemble_gemma2});

}  // namespace
}  // namespace tessera
