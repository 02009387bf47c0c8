#include "language/mamba2.h"

#include "io/published_config.h"
#include "layers/family.h"

namespace tessera {
namespace {

const Registration<LanguageModel, Mamba2, Mamba2Options> registration(language_models(), "mamba2");

CausalStackOptions stack_of(const Mamba2Options& o) {
  return {.vocabulary = o.vocabulary, .dim = o.dim, .norm = "rms", .eps = o.eps, .tied = o.tied};
}

}  // namespace

Mamba2::Mamba2(const Mamba2Options& o) : CausalStack(stack_of(o)) {
  const Mamba2MixerOptions mixer{.dim = o.dim,
                                 .heads = o.heads,
                                 .head_dim = o.head_dim,
                                 .state = o.state,
                                 .groups = o.groups,
                                 .kernel = o.kernel,
                                 .chunk = o.chunk,
                                 .bias = o.bias,
                                 .convolution_bias = o.convolution_bias,
                                 .shortest_step = o.shortest_step,
                                 .longest_step = o.longest_step,
                                 .activation = o.activation,
                                 .eps = o.eps,
                                 .padding_bias = o.padding_bias};
  for (int64_t i = 0; i < o.depth; ++i)
    blocks().append(BlockOptions{.dim = o.dim, .eps = o.eps, .norm = "rms"}, std::make_shared<Mamba2Mixer>(mixer),
                    nullptr);
}

namespace {

NameTable names(bool tied) {
  const NameTable mixer = {{
                               {"{n}.norm.weight", "{n}.norm1.weight"},
                               {"{n}.mixer.{in_proj|out_proj}.*", "{n}.attention.{in_proj|out_proj}.*"},
                               {"{n}.mixer.conv1d.*", "{n}.attention.convolution.*"},
                               {"{n}.mixer.norm.weight", "{n}.attention.norm.weight"},
                               {"{n}.mixer.dt_bias", "{n}.attention.dt_bias"},
                               {"{n}.mixer.A_log", "{n}.attention.a_log"},
                               {"{n}.mixer.D", "{n}.attention.d"},
                           },
                           {{"{n}.mixer", "{n}.attention"}, {"{n}", "{n}"}}};
  const NameTable own = {{
                             {"backbone.embeddings.weight", "words.weight"},
                             {"backbone.embedding.weight", "words.weight", true},  // state-spaces' own files
                             {"backbone.norm_f.weight", "norm.weight"},
                         },
                         {{"backbone.norm_f", "norm"}}};
  const NameTable tied_head = {{"lm_head.weight", "words.weight", true}},
                  own_head = {{"lm_head.weight", "head.weight"}};
  return (tied ? tied_head : own_head) + own + mixer.within("backbone.layers.", "blocks.");
}

Assembly assemble_mamba2(const Json& json, const std::string& where) {
  PublishedConfig config(json, where);
  Mamba2Options o;
  o.vocabulary = config.get<int64_t>("vocab_size", 32768);
  o.dim = config.get<int64_t>("hidden_size", 4096);
  o.depth = config.get<int64_t>("num_hidden_layers", 64);
  o.heads = config.get<int64_t>("num_heads", 128);
  o.head_dim = config.get<int64_t>("head_dim", 64);
  o.state = config.get<int64_t>("state_size", 128);
  o.groups = config.get<int64_t>("n_groups", 8);
  o.kernel = config.get<int64_t>("conv_kernel", 4);
  o.chunk = config.get<int64_t>("chunk_size", 256);
  o.bias = config.get<bool>("use_bias", false);
  o.convolution_bias = config.get<bool>("use_conv_bias", true);
  o.tied = config.get<bool>("tie_word_embeddings", false);
  o.activation = config.get<std::string>("hidden_act", "silu");
  o.eps = config.get<double>("layer_norm_epsilon", 1e-5);
  o.padding_bias = true;  // what transformers computes for padded batches
  const auto limits = config.get<std::vector<double>>("time_step_limit", {0.0, 1e30});
  if (limits.size() != 2) throw Error("expected [shortest, longest]", where + ": time_step_limit");
  o.shortest_step = limits[0], o.longest_step = limits[1];
  if (config.get<int64_t>("expand", 2) * o.dim != o.heads * o.head_dim)
    throw Error("num_heads x head_dim is not expand x hidden_size", where);
  config.expect("rms_norm", true);
  // norm_before_gate stands in old files and is read by nothing: the gate always comes first.
  config.ignore({"bos_token_id", "eos_token_id", "pad_token_id", "residual_in_fp32", "time_step_rank", "time_step_min",
                 "time_step_max", "time_step_floor", "rescale_prenorm_residual", "norm_before_gate"});
  config.done();
  return {std::make_shared<Mamba2>(o), names(o.tied)};
}

const FamilyRegistration family({"mamba2", "Mamba-2, language model (transformers)",
                                 [](const Json& config) { return is_model_type(config, {"mamba2"}); },
                                 assemble_mamba2});

}  // namespace
}  // namespace tessera
