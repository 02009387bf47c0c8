#include "language/language_model.h"

#include <algorithm>

#include "core/device_graph.h"
#include "io/published_config.h"
#include "layers/device.h"
#include "layers/family.h"

namespace tessera {

Registry<LanguageModel>& language_models() {
  static Registry<LanguageModel> registry("language model");
  return registry;
}

void LanguageState::select(const Tensor& rows) {
  for (const auto& mixer : mixers) mixer->select(rows);
  if (seen.defined()) seen = seen.index_select(0, rows);
}

bool LanguageState::can_rewind() const {
  return std::all_of(mixers.begin(), mixers.end(), [](const auto& mixer) { return mixer->can_rewind(); });
}

void LanguageState::rewind(int64_t tokens) {
  if (!can_rewind())
    throw Error("a recurrent state cannot forget the last tokens", "language model",
                "leave out what needs it (speculative decoding)");
  for (const auto& mixer : mixers) mixer->rewind(tokens);
  if (seen.defined()) seen = seen - tokens;
}

void LanguageState::store(CacheStorage storage) {
  bool any = false;
  for (const auto& mixer : mixers)
    if (auto* cache = dynamic_cast<KeyValueCache*>(mixer.get())) cache->store(storage), any = true;
  if (!any)
    throw Error("has no key-value cache to store in another type", "language model", "leave out the type of the cache");
}

int64_t LanguageState::cache_bytes() const {
  int64_t bytes = 0;
  for (const auto& mixer : mixers)
    if (const auto* cache = dynamic_cast<const KeyValueCache*>(mixer.get())) bytes += cache->bytes();
  return bytes;
}

bool LanguageModel::outgrown(int64_t, int64_t) const { return false; }

Tensor LanguageModel::forward(const TextBatch& given, LanguageState* state) {
  const TextBatch text = moved(given, device_of(*this));
  Tokens tokens;
  tokens.x = embed(text.ids);
  tokens.mask = text.mask, tokens.ids = text.ids;
  return logits(hidden(tokens, state).x);
}

Tokens with_positions(Tokens tokens, LanguageState* state) {
  const int64_t batch = tokens.x.size(0), length = tokens.x.size(1);
  if (state && state->seen.defined() && state->seen.size(0) != batch)
    throw Error("a batch of " + std::to_string(batch) + " sequences cannot go on where one of " +
                    std::to_string(state->seen.size(0)) + " stopped",
                "language model", "a state belongs to the sequences that it has seen");
  const auto whole = tokens.x.options().dtype(torch::kInt64).requires_grad(false);
  const Tensor real = tokens.mask.defined() ? tokens.mask.to(torch::kInt64) : torch::ones({1, length}, whole);
  const Tensor before = state && state->seen.defined() ? state->seen : torch::zeros({1}, whole);
  if (!tokens.at.defined())
    tokens.at = (before.unsqueeze(1) + real.cumsum(1) - 1).clamp_min(0).unsqueeze(-1);  // B or 1 x L x 1
  if (state) state->seen = (before + real.sum(1)).expand({batch});
  return tokens;
}

Tensor learned_positions(Embedding& table, const Tensor& at, int64_t offset) {
  const int64_t context = table.weight.size(0) - offset;
  if (at.numel() > 0 && !is_recording()) {
    const int64_t last = at.max().item<int64_t>();
    if (last >= context)
      throw Error(std::to_string(last + 1) + " tokens do not fit into the context of " + std::to_string(context),
                  "text", "shorten the text");
  }
  return table.forward(at.select(-1, 0) + offset);
}

Tensor next_token_loss(const Tensor& logits, const Tensor& labels) {
  const int64_t length = logits.size(1) - 1;
  return torch::cross_entropy_loss(logits.narrow(1, 0, length).flatten(0, 1), labels.narrow(1, 1, length).flatten());
}

Tensor last_real(const Tensor& x, const Tensor& mask) {
  if (!mask.defined()) return x.select(1, x.size(1) - 1);
  const int64_t length = x.size(1);
  const Tensor places = torch::arange(1, length + 1, mask.options().dtype(torch::kInt64)) * mask.to(torch::kInt64);
  const Tensor last = std::get<0>(places.max(1)) - 1;  // B, -1 where no token is real
  return x.gather(1, torch::where(last < 0, length - 1, last).view({-1, 1, 1}).expand({-1, 1, x.size(2)})).squeeze(1);
}

namespace {

const FamilyRegistration own(
    {"language-model", "a language model of any kind (Tessera)",
     [](const Json& config) { return is_model_type(config, {"tessera-language-model"}); },
     [](const Json& json, const std::string& where) -> Assembly {
       PublishedConfig config(json, where);
       const Json options = config.nested("language_model").json();
       config.done();
       return {language_models().make(options, where + ": language_model"), NameTable{{"*", "*"}}};
     }});

}  // namespace
}  // namespace tessera
