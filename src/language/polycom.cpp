// PolyCom: "Polynomial Composition Activations" (Zhuo et al., 2024): a LLaMA whose feed-forward is an MLP with a
// learned polynomial as activation, under the names of the authors' Megatron code.
#include "language/llama.h"

namespace tessera {
namespace {

Assembly assemble_polycom(const Json& json, const std::string& where) {
  PublishedConfig config(json, where), body = config.nested("llama");
  DecoderOptions o = read_llama(body);
  o.qkv_bias = o.proj_bias = body.get<bool>("attention_bias", false);
  o.ffn_bias = body.get<bool>("mlp_bias", false);
  body.done();
  const auto kind = config.require<std::string>("activation");
  check_choice(kind, {"PolyReLU", "PolyNorm"}, where + ": activation");
  o.activation = kind == "PolyNorm" ? "polynorm" : "polyrelu";
  o.gated = false;
  config.ignore({"seed"});
  config.done();
  const NameTable feed_forward = {{{"[model.]layers.{n}.mlp.dense_h_to_4h.*", "blocks.{n}.ffn.up.*"},
                                   {"[model.]layers.{n}.mlp.activation_func.*", "blocks.{n}.ffn.activation.*"},
                                   {"[model.]layers.{n}.mlp.dense_4h_to_h.*", "blocks.{n}.ffn.down.*"}},
                                  {{"hidden_states.1", "blocks.0"}}};
  return {std::make_shared<Decoder>(o), feed_forward + llama_names(o)};
}

const FamilyRegistration family(
    {"polycom", "PolyCom, language model with polynomial activations (Megatron names)",
     [](const Json& config) { return config.contains("llama") && config.contains("activation"); }, assemble_polycom});

}  // namespace
}  // namespace tessera
