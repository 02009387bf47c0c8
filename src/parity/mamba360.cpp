// The mixers of "Mamba-360" (Patro and Agneeswaran, 2024), a survey: each from its authors' code.
#include "layers/block.h"
#include "layers/hyena.h"
#include "layers/linear_recurrence.h"
#include "layers/mamba.h"
#include "layers/mega.h"
#include "layers/mixers.h"
#include "layers/retention.h"
#include "layers/s4.h"
#include "layers/weights.h"
#include "parity/causal.h"
#include "parity/mamba360_mixers.h"

namespace tessera::parity {
namespace {

Tensor pairs(const Tensor& x) { return torch::view_as_real(x.contiguous()); }

/// Kernels, states and the like that a case also records.
void add_records(Outputs& out, Mixer& mixer, const Case& item, int64_t length, const Taps& taps,
                 const RecurrentState* state) {
  if (auto* s4 = dynamic_cast<S4Mixer*>(&mixer)) {
    const int64_t wanted = item.attributes.value("L", length);
    if (item.call != "recurrent") out["kernel"] = s4->kernel(wanted), out["layer.kernel"] = out["kernel"].unsqueeze(0);
    if (item.call == "kernel") out["kernel"] = out["layer.kernel"];
    if (state) out["state"] = pairs(state->tensors[0]);
  } else if (auto* h3 = dynamic_cast<H3Mixer*>(&mixer)) {
    const Tensor shift = h3->shift();
    out["ssm_kernel"] = h3->kernel(length).unsqueeze(0);
    out["shift_kernel"] = torch::constant_pad_nd(shift, {0, length - shift.size(1)}).unsqueeze(0);
  } else if (auto* lru = dynamic_cast<LruMixer*>(&mixer)) {
    out["kernel"] = lru->kernel(length);
    if (state) out["state"] = pairs(state->tensors[0]);
  } else if (auto* ema = dynamic_cast<EmaMixer*>(&mixer)) {
    out["kernel"] = ema->kernel(length);
    if (state) out["state"] = state->tensors[0];
  } else if (auto* retention = dynamic_cast<RetentionMixer*>(&mixer)) {
    out["mask"] = retention->decay_mask(length);
    if (state) out["state"] = state->tensors[0], out["scale"] = state->tensors[1][0];
  } else if (auto* hyena = dynamic_cast<HyenaMixer*>(&mixer)) {
    out["filter"] = hyena->filter(length).unsqueeze(0);
  } else if (dynamic_cast<S5Mixer*>(&mixer)) {
    out["Lambda_bar"] = pairs(taps.at("decay")), out["last_states"] = pairs(taps.at("states").select(1, length - 1));
    if (taps.has("states_back"))
      out["last_states"] = torch::cat({out["last_states"], pairs(taps.at("states_back").select(1, length - 1))}, 1);
  } else if (dynamic_cast<MegaMixer*>(&mixer)) {
    out["attn"] = taps.at("weights");
  }
}

/// All tokens through a state: the first `prefix` at once, the others one by one.
Tensor in_steps(Mixer& mixer, const Tensor& x, int64_t prefix, State& state) {
  std::vector<Tensor> pieces;
  for (int64_t at = 0; at < x.size(1); at = at == 0 ? prefix : at + 1) {
    Tokens tokens;
    tokens.x = x.narrow(1, at, at == 0 ? prefix : 1);
    pieces.push_back(mixer.step(tokens, state));
  }
  return torch::cat(pieces, 1);
}

/// The same mixer, that computes in chunks.
std::shared_ptr<Mixer> in_chunks(Json options, const SurveyedMixer& kind, const Golden& golden, const Case& item,
                                 torch::Device device) {
  options["chunk"] = item.attributes.at("chunk");
  const auto mixer = mixers().make(options, "golden");
  load_weights(*mixer, Checkpoint::open(golden.folder / "model.safetensors"), kind.names);
  mixer->to(device);
  return mixer;
}

System mixer_system(const Golden& golden) {
  const SurveyedMixer kind = surveyed_mixer(golden);
  const Json options = kind.options(golden.config.at("args"), golden);
  const auto mixer = mixers().make(options, "golden");
  System system{.module = mixer, .names = kind.names};
  load_weights(*mixer, Checkpoint::open(golden.folder / "model.safetensors"), system.names);
  system.call = [mixer, kind, options, golden](const Case& item, const Inputs& in) -> Outputs {
    Outputs out;
    Taps taps(*mixer, {"decay", "states", "states_back", "weights"});
    std::shared_ptr<State> state;
    int64_t length = 0;
    if (in.contains("x")) {
      Tokens tokens;
      tokens.x = in.at("x").permute(kind.layout);
      length = tokens.x.size(1);
      if (in.contains("padding_mask")) tokens.mask = in.at("padding_mask").logical_not();
      Tensor y = item.call == "chunkwise" ? in_chunks(options, kind, golden, item, tokens.x.device())->forward(tokens)
                                          : mixer->forward(tokens);
      if (item.call == "recurrent" || item.outputs.contains("state")) {
        state = mixer->start();
        const Tensor stepped = in_steps(*mixer, tokens.x, item.attributes.value("prefix", int64_t{1}), *state);
        if (item.call == "recurrent") y = stepped;
      }
      if (dynamic_cast<MegaMixer*>(mixer.get())) y = tokens.x + y;
      out["y"] = y.permute(kind.layout);
    }
    add_records(out, *mixer, item, length, taps, dynamic_cast<RecurrentState*>(state.get()));
    return out;
  };
  return system;
}

System gss(const Golden& golden) {
  const Json& a = golden.config.at("args");
  const int64_t dim = a.at("dim");
  const auto mixer = mixers().make({{"kind", "gss"},
                                    {"dim", dim},
                                    {"inner", dim * a.at("dim_expansion_factor").get<int64_t>()},
                                    {"narrow", a.at("dss_kernel_H")},
                                    {"state", a.at("dss_kernel_N")}},
                                   "golden");
  const auto block = std::make_shared<Block>(BlockOptions{.dim = dim, .eps = 1e-5}, mixer, nullptr);
  System system{.module = block,
                .names = NameTable{{"norm.*", "norm1.*"},
                                   {"{to_u.0|to_v.0|to_gate|to_out}.*", "attention.{wide|narrow|gate|proj}.*"}} +
                         dss_names().within("dss.", "attention.dss.")};
  load_weights(*block, Checkpoint::open(golden.folder / "model.safetensors"), system.names);
  system.call = [block](const Case&, const Inputs& in) -> Outputs {
    Tokens tokens;
    tokens.x = in.at("x");
    return {{"y", block->forward(tokens).x}};
  };
  return system;
}

/// The scan by itself, with channels before the length as in its reference.
Outputs scan(const Case& item, const Inputs& in) {
  const auto along = [](const Tensor& x) { return x.transpose(1, 2); };
  const Tensor u = along(in.at("u"));
  Tensor dt = along(in.at("delta"));
  if (in.contains("delta_bias")) dt = dt + in.at("delta_bias");
  if (item.attributes.at("delta_softplus")) dt = torch::softplus(dt);
  const auto grouped = [&](const Tensor& x) {
    if (x.dim() == 2) return x.expand({u.size(0), u.size(1), -1, -1});  // D x N, the same for all tokens
    return (x.dim() == 3 ? x.unsqueeze(1) : x).permute({0, 3, 1, 2});
  };
  const SelectiveResult result =
      selective_scan({u, dt, in.at("A"), grouped(in.at("B")), grouped(in.at("C"))}, Tensor());
  Tensor y = result.y + u * in.at("D");
  if (in.contains("z")) y = y * torch::silu(along(in.at("z")));
  return {{"y", along(y)}, {"last_state", result.state}};
}

void add_states(Outputs& out, const LanguageState& state, const Case& item) {
  if (!item.outputs.contains("state.0")) return;
  std::array<std::vector<Tensor>, 5> layers;  // inputs of channel and time mixing, numerator, denominator, maximum
  for (size_t i = 0; i < state.mixers.size(); ++i) {
    const auto& tensors = dynamic_cast<const RecurrentState&>(*state.mixers[i]).tensors;
    if (i % 2 == 1) layers[0].push_back(tensors[0]);
    if (i % 2 == 0)
      for (size_t k = 0; k < 4; ++k) layers[k + 1].push_back(tensors[k]);
  }
  for (size_t k = 0; k < 5; ++k) out["state." + std::to_string(k)] = torch::stack(layers[k], -1);
}

System language(const Golden& golden, const std::string& type) {
  Golden inner = golden;
  inner.config = golden.config.at("args");
  System system = assemble_golden(inner, type);
  auto model = std::dynamic_pointer_cast<LanguageModel>(system.module);
  system.call = [model, golden](Case item, Inputs in) {
    if (in.contains("x")) in["input_ids"] = in["x"];
    if (item.call == "recurrent") item.attributes["prefill"] = item.attributes.value("prefix", int64_t{1});
    if (item.call == "forward" && !in.contains("labels")) in["labels"] = in.at("input_ids");
    LanguageState state = model->start();
    Outputs out = call_causal(*model, golden, item, in, state);
    // GSS is given the next words as labels, the others their own.
    if (in.contains("x")) out["loss"] = torch::cross_entropy_loss(out["logits"].flatten(0, 1), in["labels"].flatten());
    if (item.call == "recurrent") add_states(out, state, item);
    return out;
  };
  return system;
}

System mamba360(const Golden& golden) {
  const std::string name = golden.config.at("mixer");
  if (name == "selective_scan") return {.call = scan};
  if (name == "gss") return gss(golden);
  if (name == "mamba" || name == "rwkv") return language(golden, name);
  if (name == "gss_lm") return language(golden, "");
  return mixer_system(golden);
}

const AdapterRegistration registration("mamba-360", mamba360);

}  // namespace
}  // namespace tessera::parity
