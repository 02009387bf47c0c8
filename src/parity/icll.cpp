#include "layers/mixers.h"
#include "layers/ngram.h"
#include "layers/weights.h"
#include "metrics/in_context_language.h"
#include "parity/causal.h"

namespace tessera::parity {
namespace {

System layer(const Golden& golden) {
  const auto mixer = mixers().make(
      {{"kind", "ngram"}, {"dim", golden.config.at("d_model")}, {"order", golden.config.at("ngram")}}, "golden");
  System system{.module = mixer, .names = NameTable{{"t0.*", "followers.*"}, {"t1.*", "own.*"}}};
  load_weights(*mixer, Checkpoint::open(golden.folder / "model.safetensors"), system.names);
  system.call = [mixer](const Case& item, const Inputs& in) -> Outputs {
    if (item.call == "induction_head")
      return {{"y", induction_head(in.at("hidden_state"), in.at("input_ids"), item.attributes.at("ngram"),
                                   item.attributes.at("shift_step"))}};
    Tokens tokens;
    tokens.x = in.at("x"), tokens.ids = in.at("input_ids");
    return {{"y", mixer->forward(tokens)}};
  };
  return system;
}

Automaton automaton(const Json& attributes) {
  std::vector<std::map<char, int64_t>> transitions;
  for (const Json& from : attributes.at("transitions")) {
    auto& state = transitions.emplace_back();
    for (const auto& [symbol, to] : from.items()) state[symbol[0]] = to.get<int64_t>();
  }
  return Automaton(transitions);
}

Outputs traces(const Json& attributes) {
  std::vector<std::vector<int64_t>> traces;
  std::vector<int64_t> accepted;
  size_t longest = 0;
  for (const std::string word : attributes.at("words")) {
    longest = std::max(longest, word.size() + 1);
    traces.push_back(automaton(attributes).trace(word));
    accepted.push_back(automaton(attributes).accepts(word) ? 1 : 0);
  }
  std::vector<Tensor> rows;
  for (auto& trace : traces) {
    trace.resize(longest, -1);
    rows.push_back(torch::tensor(trace, torch::kInt64));
  }
  return {{"states", torch::stack(rows)}, {"accept", torch::tensor(accepted, torch::kInt64)}};
}

Outputs evaluate(const Case& item, const Inputs& in) {
  const Json& a = item.attributes;
  if (item.call == "dfa_trace") return traces(a);
  const std::string text = a.at("text");
  const int64_t vocabulary = a.at("vocab_size");
  if (item.call == "ngram_probs")
    return {{"probs", ngram_probabilities(text, vocabulary,
                                          {.order = a.at("N"),
                                           .back_off = a.at("backoff"),
                                           .add_one = a.at("addone"),
                                           .uniform = a.at("uniform")})}};
  if (item.call == "dfa_probs") return {{"probs", automaton_probabilities(automaton(a), text, vocabulary)}};
  if (item.call == "l1_to_dfa")
    return {{"distance", torch::tensor(distance_to_automaton(in.at("logits"), automaton(a), text))}};
  if (item.call != "valid_transitions") throw Unsupported("no measure '" + item.call + "'");
  const Tensor flags = torch::tensor(legal_predictions(automaton(a), text, a.at("pred")), torch::kInt64);
  return {{"flags", flags}, {"total", flags.eq(1).sum()}, {"count", flags.ne(2).sum()}};
}

System icll(const Golden& golden) {
  if (golden.kind == "method") return {.call = evaluate};
  if (golden.arch == "Ngram") return layer(golden);
  System system = assemble_golden(golden);
  auto model = std::dynamic_pointer_cast<LanguageModel>(system.module);
  system.call = [model](const Case&, const Inputs& in) -> Outputs {
    const Tensor logits = model->forward({in.at("input_ids"), {}, {}});
    // The labels are of the next word already.
    return {{"logits", logits}, {"loss", torch::cross_entropy_loss(logits.flatten(0, 1), in.at("labels").flatten())}};
  };
  return system;
}

const AdapterRegistration registration("icll", icll);

}  // namespace
}  // namespace tessera::parity
