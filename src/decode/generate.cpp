#include "decode/generate.h"

namespace tessera {
namespace {

/// The prompts with what was made so far, as if that had been given.
TextBatch so_far(const TextBatch& text, const std::vector<Tensor>& made) {
  const Tensor more = torch::stack(made, 1);
  TextBatch all{torch::cat({text.ids, more}, 1), {}, {}};
  if (text.mask.defined()) all.mask = torch::cat({text.mask, torch::ones_like(more).to(text.mask.dtype())}, 1);
  return all;
}

}  // namespace

Tensor generate(LanguageModel& model, const TextBatch& text, LanguageState& state, const GenerateOptions& options) {
  const torch::NoGradGuard no_grad;
  if (text.ids.dim() != 2 || text.ids.size(1) == 0)
    throw Error("a prompt has at least one token", "prompt", "begin with the token that begins a text");
  const int64_t batch = text.ids.size(0);
  const bool fresh = !state.seen.defined();
  TextBatch next = text;
  Tensor ended = torch::zeros({batch}, text.ids.options().dtype(torch::kBool));
  std::vector<Tensor> made;
  while (static_cast<int64_t>(made.size()) < options.max_new_tokens) {
    Tokens tokens;
    tokens.x = model.embed(next.ids);
    tokens.mask = next.mask;
    // The head is the widest layer, so it is given the last tokens alone.
    const Tensor last = last_real(model.hidden(tokens, &state).x, next.mask);
    const Tensor ids = model.logits(last).argmax(-1).masked_fill(ended, options.padding_id);  // B
    made.push_back(ids);
    for (const int64_t end : options.end_ids) ended = ended | ids.eq(end);
    if (ended.all().item<bool>()) break;
    next = {ids.unsqueeze(1), {}, {}};
    const int64_t seen = state.seen.max().item<int64_t>();
    if (fresh && model.outgrown(seen, seen + 1)) state = model.start(), next = so_far(text, made);
  }
  return made.empty() ? text.ids.narrow(1, 0, 0) : torch::stack(made, 1);
}

Tensor generate(LanguageModel& model, const TextBatch& text, const GenerateOptions& options) {
  LanguageState state = model.start();
  return generate(model, text, state, options);
}

}  // namespace tessera
