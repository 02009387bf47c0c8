#include "encoders/classifier.h"
#include "layers/mlstm.h"
#include "layers/slstm.h"
#include "parity/causal.h"

namespace tessera::parity {
namespace {

/// The memory by itself, in its three forms.
Outputs cell(const Case& item, const Inputs& in) {
  const MlstmInputs inputs{in.at("q"), in.at("k"), in.at("v"), in.at("igate_preact").squeeze(-1),
                           in.at("fgate_preact").squeeze(-1)};
  const bool recurrent = item.call.starts_with("recurrent"), chunks = item.call.starts_with("chunkwise");
  const int64_t chunk = recurrent ? 1 : chunks ? item.attributes.at("chunk_size").get<int64_t>() : 0;
  MlstmState state;
  Outputs out{{"h", mlstm(inputs, {}, &state, {.chunk = chunk, .eps = item.attributes.at("eps")})}};
  // The reference's chunk form scales queries where the others scale keys.
  const double scale = chunks ? std::sqrt(static_cast<double>(inputs.q.size(3))) : 1;
  out["c_state"] = state.c * scale;
  out["n_state"] = chunks ? state.n * scale : state.n.unsqueeze(-1);
  out["m_state"] = state.m.unsqueeze(-1).unsqueeze(-1);
  return out;
}

System vil(const Golden& golden) {
  if (golden.kind == "method") return {.call = cell};
  System system = assemble_golden(golden);
  auto model = std::dynamic_pointer_cast<ImageClassifier>(system.module);
  system.call = [model](const Case&, const Inputs& in) -> Outputs { return {{"output", model->forward(in.at("x"))}}; };
  return system;
}

void add_states(Outputs& out, const LanguageState& state, bool official) {
  for (size_t i = 0; i < state.mixers.size(); ++i) {
    const std::string block = "block_" + std::to_string(i) + ".";
    if (const auto* matrix = dynamic_cast<const MlstmState*>(state.mixers[i].get())) {
      if (official) {
        out[block + "mlstm_state.0"] = matrix->c, out[block + "mlstm_state.1"] = matrix->n.unsqueeze(-1);
        out[block + "mlstm_state.2"] = matrix->m.unsqueeze(-1).unsqueeze(-1);
        out[block + "conv_state.0"] = matrix->convolution.inputs.transpose(1, 2);
        continue;
      }
      const std::string layer = "state." + std::to_string(i) + ".";
      const double scale = std::sqrt(static_cast<double>(matrix->n.size(2)));  // transformers scales the queries
      out[layer + "c"] = matrix->c * scale, out[layer + "n"] = matrix->n * scale;
      out[layer + "m"] = matrix->m.unsqueeze(-1);
    } else if (const auto* scalar = dynamic_cast<const SlstmState*>(state.mixers[i].get())) {
      out[block + "slstm_state.0"] = torch::stack({scalar->h, scalar->c, scalar->n, scalar->m});
      out[block + "conv_state.0"] = scalar->convolution.inputs.transpose(1, 2);
    }
  }
}

System xlstm(const Golden& golden) {
  Golden inner = golden;
  const bool official = golden.config.at("impl") == "official";
  inner.config = golden.config.at("config");
  System system = assemble_golden(inner, official ? "" : "xlstm");
  auto model = std::dynamic_pointer_cast<LanguageModel>(system.module);
  system.call = [model, inner, official](const Case& item, Inputs in) {
    Case pieces = item;
    if (item.call == "cached") pieces.attributes["prefill"] = item.attributes.at("prefix");
    if (item.call == "step") pieces.attributes["prefill"] = 1;
    if (item.call == "forward") in["labels"] = in.at("input_ids");
    LanguageState state = model->start();
    Outputs out = call_causal(*model, inner, pieces, in, state);
    if (state.seen.defined()) add_states(out, state, official);
    return out;
  };
  return system;
}

const AdapterRegistration vision("vil", vil), language("xlstm", xlstm);

}  // namespace
}  // namespace tessera::parity
