// Mamba (Gu and Dao, 2023) and GSS (Mehta et al., 2022) as language models: stacks of norm, mixer and residual.
#include "io/published_config.h"
#include "language/decoder.h"
#include "layers/family.h"

namespace tessera {
namespace {

const NameTable kMamba = {{
                              {"backbone.embeddings.weight", "words.weight"},
                              {"backbone.embedding.weight", "words.weight", true},  // state-spaces' own files
                              {"backbone.norm_f.weight", "norm.weight"},
                              {"backbone.layers.{n}.norm.weight", "blocks.{n}.norm1.weight"},
                              {"backbone.layers.{n}.mixer.A_log", "blocks.{n}.attention.a_log"},
                              {"backbone.layers.{n}.mixer.D", "blocks.{n}.attention.d"},
                              {"backbone.layers.{n}.mixer.conv1d.*", "blocks.{n}.attention.convolution.*"},
                              {"backbone.layers.{n}.mixer.{in_proj|x_proj|dt_proj|out_proj}.*",
                               "blocks.{n}.attention.{in_proj|x_proj|dt_proj|out_proj}.*"},
                          },
                          {{"backbone.layers.{n}", "blocks.{n}"},
                           {"backbone.layers.{n}.mixer", "blocks.{n}.attention"},
                           {"hidden_states.{n}", "blocks.{n}"}}};

NameTable head_names(bool tied) {
  return tied ? NameTable{{"lm_head.weight", "words.weight", true}} : NameTable{{"lm_head.weight", "head.weight"}};
}

Assembly assemble_mamba(const Json& json, const std::string& where) {
  PublishedConfig config(json, where);
  DecoderOptions o;
  o.vocabulary = config.get<int64_t>("vocab_size", 50280);
  o.dim = config.get<int64_t>("hidden_size", 768);
  o.depth = config.get<int64_t>("num_hidden_layers", 32);
  o.eps = config.get<double>("layer_norm_epsilon", 1e-5);
  o.tied = config.get<bool>("tie_word_embeddings", true);
  o.positions = "none", o.norm = "rms", o.heads = 1, o.context = 0;
  const bool automatic = json.contains("time_step_rank") && json["time_step_rank"].is_string();
  o.mixer = {{"kind", "mamba"},
             {"inner", config.get<int64_t>("intermediate_size", config.get<int64_t>("expand", 2) * o.dim)},
             {"state", config.get<int64_t>("state_size", 16)},
             {"kernel", config.get<int64_t>("conv_kernel", 4)},
             {"rank", automatic ? 0 : config.get<int64_t>("time_step_rank", 0)},
             {"bias", config.get<bool>("use_bias", false)},
             {"convolution_bias", config.get<bool>("use_conv_bias", true)}};
  o.feed_forward = {{"kind", "none"}};
  config.expect<std::string>("hidden_act", "silu");
  config.ignore({"residual_in_fp32", "use_mambapy", "time_step_rank", "time_step_scale", "time_step_min",
                 "time_step_max", "time_step_init_scheme", "time_step_floor", "rescale_prenorm_residual", "expand",
                 "bos_token_id", "eos_token_id", "pad_token_id", "use_cache"});
  config.done();
  return {std::make_shared<Decoder>(o), head_names(o.tied) + kMamba};
}

const NameTable kGss = {{
                            {"token_emb.weight", "words.weight"},
                            {"to_logits.weight", "head.weight"},
                            {"layers.{n}.norm.*", "blocks.{n}.norm1.*"},
                            {"layers.{n}.to_u.0.weight", "blocks.{n}.attention.wide.weight"},
                            {"layers.{n}.to_v.0.weight", "blocks.{n}.attention.narrow.weight"},
                            {"layers.{n}.to_gate.weight", "blocks.{n}.attention.gate.weight"},
                            {"layers.{n}.to_out.*", "blocks.{n}.attention.proj.*"},
                            {"layers.{n}.dss.norm.*", "blocks.{n}.attention.dss.norm.*"},
                            {"layers.{n}.dss.Lambda_real", "blocks.{n}.attention.dss.log_decay"},
                            {"layers.{n}.dss.Lambda_imag", "blocks.{n}.attention.dss.frequency"},
                            {"layers.{n}.dss.C_real", "blocks.{n}.attention.dss.c_real"},
                            {"layers.{n}.dss.C_imag", "blocks.{n}.attention.dss.c_imag"},
                            {"layers.{n}.dss.param_D", "blocks.{n}.attention.dss.d"},
                        },
                        {{"layers.{n}", "blocks.{n}"}}};

Assembly assemble_gss(const Json& json, const std::string& where) {
  PublishedConfig config(json, where);
  DecoderOptions o;
  o.vocabulary = config.require<int64_t>("num_tokens");
  o.dim = config.require<int64_t>("dim");
  o.depth = config.require<int64_t>("depth");
  o.positions = "none", o.heads = 1, o.context = 0, o.tied = o.final_norm = false;
  o.mixer = {{"kind", "gss"},
             {"inner", o.dim * config.get<int64_t>("dim_expansion_factor", 4)},
             {"narrow", config.get<int64_t>("dss_kernel_H", 256)},
             {"state", config.get<int64_t>("dss_kernel_N", 512)}};
  o.feed_forward = {{"kind", "none"}};
  config.done();
  return {std::make_shared<Decoder>(o), kGss};
}

const FamilyRegistration mamba({"mamba", "Mamba, language model (transformers)",
                                [](const Json& config) { return is_model_type(config, {"mamba"}); }, assemble_mamba});
const FamilyRegistration gss({"gss", "GSS, language model (gated-state-spaces-pytorch)",
                              [](const Json& config) {
                                return config.contains("num_tokens") && config.contains("dss_kernel_N");
                              },
                              assemble_gss});

}  // namespace
}  // namespace tessera
