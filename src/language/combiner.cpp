// Combiner: "Full Attention Transformer with Sparse Computation Cost" (Ren et al., 2021), the authors' JAX language
// model under the names of its Flax parameters.
#include "io/published_config.h"
#include "language/decoder.h"
#include "layers/family.h"

namespace tessera {
namespace {

struct Pattern {
  std::string kind, module, output;  // ours, the class of the mixer, and which of its DenseGeneral projects the result
};

const std::map<std::string, Pattern>& patterns() {
  static const std::map<std::string, Pattern> all = {
      {"fixed", {"combiner-fixed", "_SelfAttSqrtn_0", "DenseGeneral_0"}},
      {"axial", {"combiner-axial", "_SelfAttAxialRowmajor_0", "DenseGeneral_2"}},
      {"logn", {"combiner-logsparse", "_SelfAttLogn_0", "DenseGeneral_0"}},
      {"mixture", {"combiner-mixture", "_AxialMixtureAtt_0", "DenseGeneral_0"}},
  };
  return all;
}

NameTable names(const Pattern& pattern) {
  const std::string output = pattern.output + ".kernel";
  const NameTable mixer =
      NameTable{{output.c_str(), "proj.weight^T"}} + NameTable{{"{query|key|value}.kernel", "qkv.weight[{0|1|2}]^T"},
                                                               {"DenseGeneral_0.kernel", "summary_out.weight^T"},
                                                               {"DenseGeneral_1.kernel", "summary_key.weight^T"},
                                                               {"LayerNorm_0.scale", "summary_norm.weight"},
                                                               {"LayerNorm_0.bias", "summary_norm.bias"}};
  const NameTable layer = {{{"LayerNorm_0.scale", "norm1.weight"},
                            {"LayerNorm_0.bias", "norm1.bias"},
                            {"LayerNorm_1.scale", "norm2.weight"},
                            {"LayerNorm_1.bias", "norm2.bias"},
                            {"MlpBlock_0.Dense_0.kernel", "ffn.up.weight^T"},
                            {"MlpBlock_0.Dense_0.bias", "ffn.up.bias"},
                            {"MlpBlock_0.Dense_1.kernel", "ffn.down.weight^T"},
                            {"MlpBlock_0.Dense_1.bias", "ffn.down.bias"}}};
  const NameTable own = {{{"Embed_0.embedding", "words.weight"},
                          {"autoreg_model.LayerNorm_0.scale", "norm.weight"},
                          {"autoreg_model.LayerNorm_0.bias", "norm.bias"},
                          {"autoreg_model.Dense_0.kernel", "head.weight^T"},
                          {"autoreg_model.Dense_0.bias", "head.bias"}},
                         {{"transformer_layer_{n}", "blocks.{n}"}}};
  return own + (layer + mixer.within(pattern.module + ".", "attention."))
                   .within("autoreg_model.transformer_layer_{n}.", "blocks.{n}.");
}

Assembly assemble_combiner(const Json& json, const std::string& where) {
  PublishedConfig config(json, where);
  const auto model = config.require<std::string>("model");
  std::vector<std::string> known;
  for (const auto& [name, pattern] : patterns()) known.push_back(name);
  check_choice(model, known, where + ": model");
  const Pattern& pattern = patterns().at(model);
  DecoderOptions o;
  o.vocabulary = config.require<int64_t>("vocab_size");
  o.heads = config.get<int64_t>("num_heads", 8);
  o.depth = config.get<int64_t>("num_layers", 6);
  const auto length = config.get<int64_t>("max_len", 2048);
  o.context = length + 1;  // with token 0, which the authors put before every sequence
  o.dim = config.get<int64_t>("emb_dim", 512);
  o.ffn = config.get<int64_t>("mlp_dim", 2048);
  o.head_dim = config.get<int64_t>("qkv_dim", 512) / o.heads;
  o.positions = "sinusoidal", o.activation = "relu", o.eps = 1e-6;
  o.tied = o.qkv_bias = o.proj_bias = false, o.head_bias = true;
  o.mixer = {{"kind", pattern.kind}, {"segment", config.get<int64_t>("max_seg_len", 256)}, {"length", length}};
  config.expect("output_vocab_size", o.vocabulary);
  config.ignore({"seed"});
  config.done();
  return {std::make_shared<Decoder>(o), names(pattern)};
}

const FamilyRegistration family(
    {"combiner", "Combiner, language model (the authors' JAX code)",
     [](const Json& config) { return config.contains("max_seg_len") && config.contains("model"); }, assemble_combiner});

}  // namespace
}  // namespace tessera
