#include "parity/mamba360_mixers.h"

namespace tessera::parity {

const NameTable& dss_names() {
  static const NameTable names = {{"Lambda_real", "log_decay"},
                                  {"Lambda_imag", "frequency"},
                                  {"C_real", "c_real"},
                                  {"C_imag", "c_imag"},
                                  {"param_D", "d"},
                                  {"norm.*", "norm.*"}};
  return names;
}

namespace {

const NameTable kLru = {{"nu_log", "nu"}, {"theta_log", "theta"}, {"gamma_log", "gamma"}};

SurveyedMixer s4(const Json& a) {
  return {[](const Json& arguments, const Golden& golden) -> Json {
            Json o = {{"kind", "s4"}, {"dim", arguments.at("d_model")}, {"state", arguments.at("d_state")}};
            o["mode"] = arguments.at("mode");
            if (arguments.contains("disc")) o["discretisation"] = arguments["disc"];
            if (arguments.contains("n_ssm")) o["ssms"] = arguments["n_ssm"];
            if (o["mode"] == "dplr") o["length"] = golden.config.at("l_kernel");
            return o;
          },
          {{"layer.kernel.A_real", "a_real"},
           {"layer.kernel.A_imag", "a_imag"},
           {"layer.kernel.B", "b"},
           {"layer.kernel.C", "c"},
           {"layer.kernel.P", "p"},
           {"layer.kernel.inv_dt", "log_dt"},
           {"layer.kernel.l_kernel", ""},
           {"layer.D", "d"},
           {"output_linear.0.*", "proj.*"}},
          a.value("transposed", true) ? std::vector<int64_t>{0, 2, 1} : std::vector<int64_t>{0, 1, 2}};
}

SurveyedMixer s4d_min() {
  return {[](const Json& a, const Golden&) -> Json {
            return {{"kind", "s4"}, {"dim", a.at("d_model")}, {"state", a.at("d_state")}, {"input_weights", false}};
          },
          {{"kernel.log_A_real", "a_real"},
           {"kernel.A_imag", "a_imag"},
           {"kernel.C", "c"},
           {"kernel.log_dt", "log_dt"},
           {"D", "d"},
           {"output_linear.0.*", "proj.*"}},
          {0, 2, 1}};
}

SurveyedMixer s5() {
  return {[](const Json& a, const Golden&) -> Json {
            return {{"kind", "s5"},
                    {"dim", a.at("H")},
                    {"state", a.at("P")},
                    {"conjugate", a.at("conj_sym")},
                    {"bidirectional", a.at("bidirectional")},
                    {"clip", a.at("clip_eigs")},
                    {"discretisation", a.at("discretization")},
                    {"rescale", a.at("step_rescale")}};
          },
          {{"Lambda_re", "real"},
           {"Lambda_im", "imag"},
           {"log_step", "log_step"},
           {"B", "b"},
           {"C", "c"},
           {"C1", "c"},
           {"C2", "c_back"},
           {"D", "d"}}};
}

SurveyedMixer h3() {
  return {
      [](const Json& a, const Golden&) -> Json {
        return {{"kind", "h3"}, {"dim", a.at("d_model")}, {"state", a.at("d_state")}, {"head_dim", a.at("head_dim")}};
      },
      {{"{q_proj|k_proj|v_proj}.*", "{q|k|v}.*"},
       {"ssm_k_kernel.kernel.B", "shift_b"},
       {"ssm_k_kernel.kernel.C", "shift_c"},
       {"ssm_k_D", "shift_d"},
       {"kernel.kernel.inv_A_real", "a_real"},
       {"kernel.kernel.A_imag", "a_imag"},
       {"kernel.kernel.B", "b"},
       {"kernel.kernel.C", "c"},
       {"kernel.kernel.log_dt", "log_dt"},
       {"D", "d"},
       {"output_linear.*", "proj.*"}}};
}

SurveyedMixer hyena() {
  return {[](const Json& a, const Golden&) -> Json {
            return {{"kind", "hyena"},
                    {"dim", a.at("d_model")},
                    {"order", a.at("order")},
                    {"length", a.at("l_max")},
                    {"filter_dim", a.at("filter_order")},
                    {"embedding", a.at("emb_dim")},
                    {"kernel", a.at("short_filter_order")}};
          },
          {{"in_proj.*", "in.*"},
           {"out_proj.*", "out.*"},
           {"short_filter.*", "convolution.*"},
           {"filter_fn.bias", "bias"},
           {"filter_fn.implicit_filter.0.*", "filter1.*"},
           {"filter_fn.implicit_filter.2.*", "filter2.*"},
           {"filter_fn.implicit_filter.4.*", "filter3.*"},
           {"filter_fn.implicit_filter.6.*", "filter_out.*"},
           {"filter_fn.implicit_filter.1.freq", "frequency"},
           {"filter_fn.implicit_filter.3.freq", "frequency", true},  // one module stands between all layers
           {"filter_fn.implicit_filter.5.freq", "frequency", true},
           {"filter_fn.modulation.deltas", "decay"},
           {"filter_fn.pos_emb.z", "features"},
           {"filter_fn.pos_emb.t", "time"}}};
}

SurveyedMixer retnet() {
  return {[](const Json& a, const Golden&) -> Json {
            return {{"kind", "retention"},
                    {"dim", a.at("decoder_embed_dim")},
                    {"heads", a.at("decoder_retention_heads")},
                    {"value_dim", a.at("decoder_value_embed_dim")},
                    {"chunk", 0}};
          },
          {{"retention.{q|k|v|g|out}_proj.weight", "{q|k|v|gate|proj}.weight"},
           {"rel_pos.angle", ""},
           {"rel_pos.decay", ""}}};
}

SurveyedMixer mega() {
  return {[](const Json& a, const Golden&) -> Json {
            return {{"kind", "mega"},
                    {"dim", a.at("embed_dim")},
                    {"key_dim", a.at("zdim")},
                    {"value_dim", a.at("hdim")},
                    {"averages", a.at("ndim")},
                    {"chunk", std::max<int64_t>(a.at("chunk_size").get<int64_t>(), 0)},
                    {"length", a.at("max_positions")},
                    {"causal", !a.at("bidirectional").get<bool>()},
                    {"laplace", a.at("attention_activation") == "laplace"}};
          },
          {{"move.*", "averages.*"},
           {"norm.norm.*", "norm.*"},
           {"rel_pos_bias.rel_pos_bias", "distance"},
           {"v_proj.*", "value.*"},
           {"mx_proj.*", "mixed.*"},
           {"h_proj.*", "hidden.*"},
           {"{gamma|beta}", "{gamma|beta}"}},
          {1, 0, 2}};
}

SurveyedMixer ema() {
  return {[](const Json& a, const Golden&) -> Json {
            return {{"kind", "ema"},
                    {"dim", a.at("embed_dim")},
                    {"averages", a.at("ndim")},
                    {"causal", !a.at("bidirectional").get<bool>()}};
          },
          NameTable{{"*", "*"}},
          {1, 0, 2}};
}

}  // namespace

SurveyedMixer surveyed_mixer(const Golden& golden) {
  const std::string name = golden.config.at("mixer");
  if (name == "s4") return s4(golden.config.at("args"));
  if (name == "s4d_min") return s4d_min();
  if (name == "dss")
    return {[](const Json& a, const Golden&) -> Json {
              return {{"kind", "dss"}, {"dim", a.at("dim")}, {"state", a.at("kernel_N")}};
            },
            dss_names()};
  if (name == "lru_block")
    return {[](const Json& a, const Golden&) -> Json {
              return {{"kind", "gated-lru"}, {"dim", a.at("d_model")}};
            },
            kLru + NameTable{{"in_proj.*", "in.*"}, {"out_proj.*", "out.*"}, {"layer_norm.*", "norm.*"}}};
  if (name == "lru")
    return {[](const Json& a, const Golden&) -> Json {
              return {{"kind", "lru"}, {"dim", a.at("H")}, {"state", a.at("N")}};
            },
            kLru + NameTable{{"{B|C}_re", "{b|c}_real"}, {"{B|C}_im", "{b|c}_imag"}, {"D", "d"}}};
  if (name == "s5") return s5();
  if (name == "h3") return h3();
  if (name == "hyena") return hyena();
  if (name == "retnet") return retnet();
  if (name == "ema") return ema();
  if (name == "mega") return mega();
  throw Unsupported("no mixer '" + name + "'");
}

}  // namespace tessera::parity
