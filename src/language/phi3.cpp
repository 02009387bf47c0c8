// "Phi-3 Technical Report" (Abdin et al., 2024), as transformers publishes it: LLaMA's block, published with fused
// projections.
#include "language/llama.h"

namespace tessera {
namespace {

Assembly assemble_phi3(const Json& json, const std::string& where) {
  PublishedConfig config(with_defaults(json, {{"vocab_size", 32064},
                                              {"hidden_size", 3072},
                                              {"intermediate_size", 8192},
                                              {"rms_norm_eps", 1e-5},
                                              {"max_position_embeddings", 4096},
                                              {"original_max_position_embeddings", 4096}}),
                         where);
  DecoderOptions o = read_llama(config);
  o.dropout = config.get<double>("resid_pdrop", 0);
  if (const int64_t window = config.get<int64_t>("sliding_window", 0); window > 0)
    o.windows.assign(static_cast<size_t>(o.depth), window);
  config.expect("attention_bias", false);
  config.ignore({"embd_pdrop", "layer_types"});
  config.done();
  const NameTable fused = {{"model.layers.{n}.self_attn.qkv_proj.weight", "blocks.{n}.attention.qkv.weight"},
                           {"model.layers.{n}.mlp.gate_up_proj.weight", "blocks.{n}.ffn.gate_up.weight"}};
  return {std::make_shared<Decoder>(o), llama_frame_names(o.tied) + fused};
}

const FamilyRegistration family({"phi3", "Phi-3, language model (transformers)",
                                 [](const Json& config) { return is_model_type(config, {"phi3"}); }, assemble_phi3});

}  // namespace
}  // namespace tessera
