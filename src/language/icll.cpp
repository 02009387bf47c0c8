// "In-Context Language Learning: Architectures and Algorithms" (Akyürek et al., 2024): the authors' small language
// models, of rotary attention ("transformer+") and of layers that mix in different ways, n-gram heads among them.
#include "io/published_config.h"
#include "language/decoder.h"
#include "layers/family.h"

namespace tessera {
namespace {

const NameTable kNames = {{
                              {"[backbone.]embeddings.word_embeddings.weight", "words.weight"},
                              {"lm_head.weight", "words.weight", true},
                              {"[backbone.]ln_f.*", "norm.*"},
                              {"[backbone.]layers.{n}.norm{m}.*", "blocks.{n}.norm{m}.*"},
                              {"[backbone.]layers.{n}.mlp.fc1.*", "blocks.{n}.ffn.up.*"},
                              {"[backbone.]layers.{n}.mlp.fc2.*", "blocks.{n}.ffn.down.*"},
                              {"[backbone.]layers.{n}.mixer.att_qkv.*", "blocks.{n}.attention.qkv.*"},
                              {"[backbone.]layers.{n}.mixer.out_proj.*", "blocks.{n}.attention.proj.*"},
                              {"[backbone.]layers.{n}.mixer.rope.freqs", ""},
                              {"[backbone.]layers.{n}.mixer.t0.*", "blocks.{n}.attention.followers.*"},
                              {"[backbone.]layers.{n}.mixer.t1.*", "blocks.{n}.attention.own.*"},
                          },
                          {{"[backbone.]layers.{n}.mixer", "blocks.{n}.attention"}}};

Json read_mixer(PublishedConfig config) {
  const auto name = config.require<std::string>("_name_");
  Json mixer;
  if (name == "ngram") {
    mixer = {{"kind", "ngram"}, {"order", config.get<int64_t>("ngram", 1)}};
  } else if (name == "mha-rope" || name == "mha-rope-x") {
    const RotaryOptions rotary{.adjacent = true};
    mixer = {{"kind", "attention"}, {"heads", config.get<int64_t>("n_heads", 8)}, {"rotary", write_options(rotary)}};
  } else {
    throw Error("the layer '" + name + "' is not known", config.where(), "known are mha-rope and ngram");
  }
  config.done();
  return mixer;
}

Assembly assemble_icll(const Json& json, const std::string& where) {
  PublishedConfig config(json, where);
  DecoderOptions o;
  o.vocabulary = config.require<int64_t>("vocab_size");
  o.dim = config.require<int64_t>("d_model");
  o.positions = "none", o.heads = 1;
  if (config.require<std::string>("cls") == "HybridLMHeadModel") {
    PublishedConfig layers = config.nested("layers");
    o.depth = static_cast<int64_t>(layers.json().size());
    o.mixer = o.feed_forward = Json::array();
    for (int64_t i = 0; i < o.depth; ++i) {
      PublishedConfig layer = layers.nested("layer" + std::to_string(i));
      o.mixer.push_back(read_mixer(layer.nested("mixer_layer")));
      o.feed_forward.push_back(
          {{"kind", "mlp"}, {"hidden", layer.get<int64_t>("d_inner", 4 * o.dim)}, {"activation", "gelu_new"}});
      layer.done();
    }
    layers.done();
  } else {
    o.depth = config.require<int64_t>("n_layer");
    o.ffn = config.get<int64_t>("d_inner", 4 * o.dim);
    o.mixer = read_mixer(config.nested("layer"));
  }
  config.ignore({"seed"});
  config.done();
  return {std::make_shared<Decoder>(o), kNames};
}

const FamilyRegistration family({"icll", "in-context language learning, small language models (the authors' code)",
                                 [](const Json& config) {
                                   return config.contains("cls") && (config["cls"] == "HybridLMHeadModel" ||
                                                                     config["cls"] == "SimpleLMHeadModel");
                                 },
                                 assemble_icll});

}  // namespace
}  // namespace tessera
