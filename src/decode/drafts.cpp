#include "decode/drafts.h"

#include <algorithm>
#include <limits>
#include <optional>

namespace tessera {
namespace {

constexpr uint64_t kDraftStream = 0xD4AF7;
constexpr size_t kLongestMatch = 3;

class ModelDrafter : public Drafter {
 public:
  ModelDrafter(LanguageModel& model, const Task& task, const ProcessorChain& chain)
      : model_(model),
        task_(task),
        chain_(chain),
        state_(model.start()),
        random_(mix_seed(task.seed(0), kDraftStream)) {
    if (model.vocabulary() != task.model.vocabulary())
      throw Error("a vocabulary of " + std::to_string(model.vocabulary()) + " tokens is not that of the model, " +
                      std::to_string(task.model.vocabulary()),
                  "draft", "take a smaller model of the same family");
    if (!state_.can_rewind())
      throw Error("a recurrent state cannot forget a refused draft", "draft", "take a draft model with attention");
    if (task.prompt.ids.empty() || task.prompt.ids[0].empty())
      throw Error("the draft model reads ids, and the prompt has none", "draft", "leave it out");
  }

  Draft propose(const Text& text, int64_t count) override {
    catch_up(text.so_far().ids);
    Draft draft;
    Text guess = text;
    while (static_cast<int64_t>(draft.ids.size()) < count && !guess.ended()) {
      if (!draft.ids.empty()) read({draft.ids.back()});
      const auto scores = guess.scores(continuation_->logits(0), chain_);
      if (task_.options.do_sample) draft.chances.push_back(probabilities(scores));
      const int64_t id = task_.options.do_sample ? draw(draft.chances.back(), 1, random_) : likeliest(scores);
      draft.ids.push_back(id);
      guess.push(id, std::numeric_limits<double>::quiet_NaN(), false);
    }
    return draft;
  }

 private:
  /// Forgets what was refused and reads what is new.
  void catch_up(std::span<const int64_t> ids) {
    if (!continuation_) {
      const Tensor all = torch::tensor(std::vector<int64_t>(ids.begin(), ids.end()), torch::kInt64).unsqueeze(0);
      continuation_.emplace(model_, state_, text_prompt(model_, {all, {}, {}}), task_.options.max_new_tokens);
      read_.assign(ids.begin(), ids.end());
      return;
    }
    // The logits behind the last token are wanted, so that one is read in any case.
    const size_t most = std::min(read_.size(), ids.size() - 1);
    const auto same = std::mismatch(read_.begin(), read_.begin() + static_cast<std::ptrdiff_t>(most), ids.begin());
    const auto kept = static_cast<size_t>(same.first - read_.begin());
    state_.rewind(static_cast<int64_t>(read_.size() - kept));
    read_.resize(kept);
    read({ids.begin() + static_cast<std::ptrdiff_t>(kept), ids.end()});
  }
  void read(const std::vector<int64_t>& ids) {
    continuation_->advance_all(ids);
    read_.insert(read_.end(), ids.begin(), ids.end());
  }

  LanguageModel& model_;
  const Task& task_;
  const ProcessorChain& chain_;
  LanguageState state_;
  Random random_;
  std::optional<Continuation> continuation_;
  std::vector<int64_t> read_;
};

class LookupDrafter : public Drafter {
 public:
  Draft propose(const Text& text, int64_t count) override {
    const auto ids = text.so_far().ids;
    for (size_t size = std::min(kLongestMatch, ids.size() - 1); size > 0; --size) {
      const auto end = ids.last(size);
      for (size_t at = ids.size() - size; at-- > 0;) {  // the last place first
        if (!std::equal(end.begin(), end.end(), ids.begin() + static_cast<std::ptrdiff_t>(at))) continue;
        const auto found = ids.subspan(at + size, std::min(static_cast<size_t>(count), ids.size() - at - size));
        return {{found.begin(), found.end()}, {}};
      }
    }
    return {};
  }
};

}  // namespace

std::unique_ptr<Drafter> model_drafter(LanguageModel& model, const Task& task, const ProcessorChain& chain) {
  return std::make_unique<ModelDrafter>(model, task, chain);
}

std::unique_ptr<Drafter> lookup_drafter() { return std::make_unique<LookupDrafter>(); }

}  // namespace tessera
