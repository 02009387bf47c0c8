// RWKV-4 (Peng et al., 2023) as a language model, as transformers publishes it.
#include "layers/rwkv.h"
#include "io/published_config.h"
#include "language/causal_stack.h"
#include "layers/family.h"

namespace tessera {
namespace {

struct RwkvOptions {
  int64_t vocabulary = 50277, dim = 4096, depth = 32, inner = 0, ffn = 0, context = 1024;  ///< 0: as in the mixers
  double eps = 1e-5;
  bool tied = false;
};
TESSERA_OPTIONS(RwkvOptions, vocabulary, dim, depth, inner, ffn, context, eps, tied)

CausalStackOptions stack_of(const RwkvOptions& o) {
  // The context is that of the training: nothing ends there.
  return {.vocabulary = o.vocabulary,
          .dim = o.dim,
          .context = o.context,
          .eps = o.eps,
          .tied = o.tied,
          .embedding_norm = true};
}

/// Each layer is two blocks, of which one mixes along time and one the channels; both look at the token before.
class Rwkv : public CausalStack {
 public:
  explicit Rwkv(const RwkvOptions& o) : CausalStack(stack_of(o)) {
    const BlockOptions block{.dim = o.dim, .eps = o.eps};
    for (int64_t i = 0; i < o.depth; ++i) {
      blocks().append(block, std::make_shared<RwkvTimeMixer>(RwkvTimeOptions{.dim = o.dim, .inner = o.inner}), nullptr);
      blocks().append(block, std::make_shared<RwkvChannelMixer>(RwkvChannelOptions{.dim = o.dim, .hidden = o.ffn}),
                      nullptr);
    }
  }
};

const Registration<LanguageModel, Rwkv, RwkvOptions> registration(language_models(), "rwkv");

NameTable names(const RwkvOptions& o) {
  NameTable names = {{{"rwkv.embeddings.weight", "words.weight"},
                      {"rwkv.blocks.0.pre_ln.*", "embedding_norm.*"},
                      {"rwkv.ln_out.*", "norm.*"}},
                     {{"rwkv.ln_out", "norm"}}};
  const NameTable parts = {{"time_decay", "decay"},
                           {"time_first", "bonus"},
                           {"time_mix_{key|value|receptance}", "mix_{key|value|receptance}"},
                           {"output.*", "proj.*"},
                           {"{key|value|receptance}.*", "{key|value|receptance}.*"}};
  for (int64_t i = 0; i < o.depth; ++i) {
    const std::string layer = "rwkv.blocks." + std::to_string(i), time = "blocks." + std::to_string(2 * i),
                      channels = "blocks." + std::to_string(2 * i + 1);
    const std::string hidden = "hidden_states." + std::to_string(i);
    const NameTable norms = {{(layer + ".ln1.*").c_str(), (time + ".norm1.*").c_str()},
                             {(layer + ".ln2.*").c_str(), (channels + ".norm1.*").c_str()}};
    names = names + norms + parts.within(layer + ".attention.", time + ".attention.") +
            parts.within(layer + ".feed_forward.", channels + ".attention.") +
            NameTable{{}, {{layer.c_str(), channels.c_str()}, {hidden.c_str(), channels.c_str()}}};
  }
  return names +
         (o.tied ? NameTable{{"head.weight", "words.weight", true}} : NameTable{{"head.weight", "head.weight"}});
}

Assembly assemble_rwkv(const Json& json, const std::string& where) {
  PublishedConfig config(json, where);
  RwkvOptions o;
  o.vocabulary = config.get<int64_t>("vocab_size", 50277);
  o.dim = config.get<int64_t>("hidden_size", 4096);
  o.depth = config.get<int64_t>("num_hidden_layers", 32);
  o.inner = config.get<int64_t>("attention_hidden_size", o.dim);
  o.ffn = config.get<int64_t>("intermediate_size", 4 * o.dim);
  o.context = config.get<int64_t>("context_length", 1024);
  o.eps = config.get<double>("layer_norm_epsilon", 1e-5);
  o.tied = config.get<bool>("tie_word_embeddings", false);
  // rescale_every halves all activations now and then, so that float16 does not overflow; norms take it out again.
  config.ignore({"rescale_every", "bos_token_id", "eos_token_id", "pad_token_id", "use_cache"});
  config.done();
  return {std::make_shared<Rwkv>(o), names(o)};
}

const FamilyRegistration family({"rwkv", "RWKV-4, language model (transformers)",
                                 [](const Json& config) { return is_model_type(config, {"rwkv"}); }, assemble_rwkv});

}  // namespace
}  // namespace tessera
