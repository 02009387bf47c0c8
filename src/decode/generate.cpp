#include "decode/generate.h"

#include <algorithm>
#include <limits>

#include "decode/strategies.h"
#include "layers/device.h"

namespace tessera {
namespace {

void check(bool good, const std::string& what, const std::string& where, const std::string& remedy) {
  if (!good) throw Error(what, where, remedy);
}

void check_hooks(const Prompt& prompt, const GenerateOptions& o, const GenerateHooks& hooks) {
  const bool searches = o.num_beams > 1 || o.penalty_alpha > 0;
  const bool speculates = hooks.draft || o.prompt_lookup_tokens > 0;
  check(!hooks.on_token || o.num_beams == 1, "the text of a beam search is known at its end alone", "num_beams",
        "do not stream it");
  check(!speculates || !searches, "drafts are for greedy decoding and sampling", "draft",
        "leave out num_beams and penalty_alpha");
  check(!hooks.draft || o.prompt_lookup_tokens == 0, "a draft comes from a model or from the text", "draft",
        "leave out prompt_lookup_tokens");
  check(!speculates || (prompt.tokens.x.size(0) == 1 && o.num_return_sequences == 1),
        "speculative decoding goes on with one text at a time", "draft", "give one prompt");
  check(!hooks.constraint || (o.forced_bos_token_id < 0 && o.forced_eos_token_id < 0),
        "forced tokens could break the constraint", "forced_eos_token_id", "leave them out");
  const auto batch = static_cast<size_t>(prompt.tokens.x.size(0));
  check(hooks.seeds.empty() || hooks.seeds.size() == batch, "there is not one for each prompt", "seeds", "");
}

/// How many tokens each text may grow by. @throws Error where it fills the context already
std::vector<int64_t> room_of(const LanguageModel& model, const Prompt& prompt, const LanguageState& state,
                             const GenerateOptions& options) {
  const Tokens& tokens = prompt.tokens;
  const int64_t batch = tokens.x.size(0);
  const Tensor length = tokens.mask.defined() ? tokens.mask.cpu().to(torch::kInt64).sum(1)
                                              : torch::full({batch}, tokens.x.size(1), torch::kInt64);
  const Tensor seen = state.seen.defined() ? state.seen.cpu() : torch::zeros({batch}, torch::kInt64);
  std::vector<int64_t> room;
  for (int64_t row = 0; row < batch; ++row) {
    const int64_t given = length[row].item<int64_t>(), before = seen[row].item<int64_t>();
    if (given == 0) throw Error("a prompt has at least one token", "prompt", "begin with the token that begins a text");
    if (model.context() <= 0) {
      room.push_back(std::numeric_limits<int64_t>::max());
      continue;
    }
    room.push_back(model.context() - given - before);
    if (room.back() <= 0 && options.max_new_tokens > 0)
      throw Error("a prompt of " + std::to_string(given + before) + " tokens leaves no room in the context of " +
                      std::to_string(model.context()),
                  "prompt", "shorten it, or have it truncated");
  }
  return room;
}

}  // namespace

std::string to_string(Finish finish) {
  switch (finish) {
    case Finish::kEnd:
      return "end";
    case Finish::kStop:
      return "stop";
    case Finish::kLength:
      return "length";
    case Finish::kContext:
      return "context";
    default:
      return "interrupted";
  }
}

std::vector<std::vector<int64_t>> real_ids(const TextBatch& text) {
  const Tensor ids = text.ids.to(torch::kCPU, torch::kInt64).contiguous();
  const Tensor real = text.mask.defined() ? text.mask.to(torch::kCPU, torch::kBool).contiguous() : Tensor();
  const int64_t length = ids.size(1);
  std::vector<std::vector<int64_t>> rows;
  for (int64_t row = 0; row < ids.size(0); ++row) {
    auto& known = rows.emplace_back();
    for (int64_t i = row * length; i < (row + 1) * length; ++i)
      if (!real.defined() || real.data_ptr<bool>()[i]) known.push_back(ids.data_ptr<int64_t>()[i]);
  }
  return rows;
}

Prompt text_prompt(LanguageModel& model, const TextBatch& given) {
  if (given.ids.dim() != 2 || given.ids.size(1) == 0)
    throw Error("a prompt has at least one token", "prompt", "begin with the token that begins a text");
  const torch::NoGradGuard no_grad;
  const TextBatch text = moved(given, device_of(model));
  Prompt prompt;
  prompt.tokens.x = model.embed(text.ids);
  prompt.tokens.mask = text.mask, prompt.tokens.ids = text.ids;
  prompt.ids = real_ids(text);
  return prompt;
}

std::vector<Generated> decode(LanguageModel& model, const Prompt& prompt, LanguageState& state,
                              const GenerateOptions& options, const GenerateHooks& hooks) {
  options.check();
  if (prompt.tokens.x.size(0) == 0) return {};
  check_hooks(prompt, options, hooks);
  const Task task{model, prompt, state, options, hooks, room_of(model, prompt, state, options)};
  if (hooks.constraint && hooks.constraint->must_end(hooks.constraint->start()))
    throw Error("the constraint allows the empty text alone", "constraint", "leave it out");
  if (options.num_beams > 1) return decode_by_beams(task);
  if (options.penalty_alpha > 0) return decode_by_contrast(task);
  if (hooks.draft || options.prompt_lookup_tokens > 0) return decode_by_speculation(task);
  return decode_by_token(task);
}

Tensor as_rows(const std::vector<Generated>& results, int64_t padding_id) {
  size_t longest = 0;
  for (const Generated& result : results) longest = std::max(longest, result.ids.size());
  const Tensor made =
      torch::full({static_cast<int64_t>(results.size()), static_cast<int64_t>(longest)}, padding_id, torch::kInt64);
  for (size_t row = 0; row < results.size(); ++row)
    std::copy(results[row].ids.begin(), results[row].ids.end(), made.data_ptr<int64_t>() + row * longest);
  return made;
}

Tensor generate(LanguageModel& model, const TextBatch& text, LanguageState& state, const GenerateOptions& options) {
  return as_rows(decode(model, text_prompt(model, text), state, options), options.padding_id);
}

Tensor generate(LanguageModel& model, const TextBatch& text, const GenerateOptions& options) {
  LanguageState state = model.start();
  return generate(model, text, state, options);
}

}  // namespace tessera
