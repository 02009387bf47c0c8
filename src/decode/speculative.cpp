#include <algorithm>
#include <limits>

#include "decode/drafts.h"

namespace tessera {
namespace {

/// "Fast Inference from Transformers via Speculative Decoding" (Leviathan et al., 2023).
class Speculation {
 public:
  explicit Speculation(const Task& task)
      : task_(task),
        chain_(make_processors(task.options)),
        random_(task.seed(0)),
        text_(task, 0, 0),
        model_(task.model, task.state, task.prompt, task.options.max_new_tokens) {
    drafter_ = task.hooks.draft ? model_drafter(*task.hooks.draft, task, chain_) : lookup_drafter();
  }

  std::vector<Generated> run() {
    const GenerateOptions& o = task_.options;
    if (o.max_new_tokens == 0) text_.end(Finish::kLength);
    if (!text_.ended() && task_.interrupted()) text_.end(Finish::kInterrupted);
    if (!text_.ended()) take(model_.logits(0));
    const int64_t most = o.prompt_lookup_tokens > 0 ? o.prompt_lookup_tokens : o.draft_tokens;
    while (!text_.ended()) {
      if (task_.interrupted()) {
        text_.end(Finish::kInterrupted);
        break;
      }
      const int64_t left = std::min(o.max_new_tokens, task_.room[0]) - text_.made();
      round(left > 1 ? drafter_->propose(text_, std::min(most, left - 1)) : Draft{});
    }
    return {std::move(text_.result)};
  }

 private:
  /// Reads the last token and the draft at once, and takes of the draft what stands, and one token more.
  void round(const Draft& draft) {
    std::vector<int64_t> read = {text_.so_far().ids.back()};
    read.insert(read.end(), draft.ids.begin(), draft.ids.end());
    const Tensor logits = model_.advance_all(read);
    const auto behind = [&](size_t i) {
      return std::span<const float>(logits.data_ptr<float>() + static_cast<int64_t>(i) * logits.size(1),
                                    static_cast<size_t>(logits.size(1)));
    };
    int64_t taken = 0;
    bool stands = true;
    for (size_t i = 0; i < draft.ids.size() && stands && !text_.ended(); ++i, ++taken)
      stands = check(behind(i), draft, i);
    if (stands && !text_.ended()) take(behind(draft.ids.size())), ++taken;
    model_.rewind(static_cast<int64_t>(read.size()) - taken);  // it has read all but the last one
  }

  /// Takes a token of the draft, or where it is refused another one. @return whether it stands
  bool check(std::span<const float> logits, const Draft& draft, size_t i) {
    const int64_t id = draft.ids[i];
    const auto scores = text_.scores(logits, chain_);
    if (!task_.options.do_sample) {
      const int64_t best = likeliest(scores);
      push(logits, best);
      return best == id;
    }
    const auto place = static_cast<size_t>(id);
    std::vector<double> wanted = probabilities(scores);
    const bool certain = draft.chances.empty();
    const double drafted = certain ? 1 : draft.chances[i][place];
    if (random_.uniform() * drafted < wanted[place]) {
      push(logits, id);
      return true;
    }
    // What the draft had too little of: max(0, p - q).
    double sum = 0;
    for (size_t j = 0; j < wanted.size(); ++j) {
      const double had = certain ? (j == place ? 1 : 0) : draft.chances[i][j];
      sum += wanted[j] = std::max(0.0, wanted[j] - had);
    }
    push(logits, draw(wanted, sum, random_));
    return false;
  }

  void take(std::span<const float> logits) {
    const auto scores = text_.scores(logits, chain_);
    push(logits, task_.options.do_sample ? draw(probabilities(scores), 1, random_) : likeliest(scores));
  }
  void push(std::span<const float> logits, int64_t id) {
    text_.push(
        id, task_.options.log_probabilities ? log_probability(logits, id) : std::numeric_limits<double>::quiet_NaN());
  }

  const Task& task_;
  ProcessorChain chain_;
  Random random_;
  Text text_;
  Continuation model_;
  std::unique_ptr<Drafter> drafter_;
};

}  // namespace

std::vector<Generated> decode_by_speculation(const Task& task) {
  if (!task.state.can_rewind()) throw Error("a recurrent state cannot forget a refused draft", "draft", "leave it out");
  if (!task.state.seen.defined() && task.model.outgrown(1, task.prompt.tokens.x.size(1) + task.options.max_new_tokens))
    throw Error("the model reads its text anew on the way, as it gets longer than its rotary positions were made for",
                "draft", "leave it out, or ask for fewer tokens");
  return Speculation(task).run();
}

}  // namespace tessera
