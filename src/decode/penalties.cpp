#include <unordered_map>
#include <unordered_set>

#include "decode/processors.h"

namespace tessera {
namespace {

/// "CTRL: A Conditional Transformer Language Model" (Keskar et al., 2019): every token of the text, prompt included,
/// gets less likely by a factor.
class RepetitionPenalty : public LogitsProcessor {
 public:
  explicit RepetitionPenalty(double penalty) : penalty_(static_cast<float>(penalty)) {}
  void process(std::span<float> scores, const TextSoFar& text) const override {
    const std::unordered_set<int64_t> seen(text.ids.begin(), text.ids.end());
    for (const int64_t id : seen) {
      if (id < 0 || id >= static_cast<int64_t>(scores.size())) continue;  // the placeholder of a picture
      float& score = scores[static_cast<size_t>(id)];
      score = score < 0 ? score * penalty_ : score / penalty_;
    }
  }

 private:
  float penalty_;
};

/// The penalties of the OpenAI API, which count what was made and not the prompt.
class CountPenalty : public LogitsProcessor {
 public:
  CountPenalty(double frequency, double presence)
      : frequency_(static_cast<float>(frequency)), presence_(static_cast<float>(presence)) {}
  void process(std::span<float> scores, const TextSoFar& text) const override {
    std::unordered_map<int64_t, int64_t> counts;
    for (const int64_t id : text.made()) ++counts[id];
    for (const auto& [id, count] : counts)
      scores[static_cast<size_t>(id)] -= frequency_ * static_cast<float>(count) + presence_;
  }

 private:
  float frequency_, presence_;
};

}  // namespace

void add_penalties(ProcessorChain& chain, const GenerateOptions& o) {
  if (o.repetition_penalty != 1) chain.add(std::make_unique<RepetitionPenalty>(o.repetition_penalty));
  if (o.frequency_penalty != 0 || o.presence_penalty != 0)
    chain.add(std::make_unique<CountPenalty>(o.frequency_penalty, o.presence_penalty));
}

ProcessorChain make_processors(const GenerateOptions& options) {
  ProcessorChain chain;
  add_penalties(chain, options);
  add_bans(chain, options);
  if (options.do_sample) add_truncations(chain, options);
  return chain;
}

}  // namespace tessera
