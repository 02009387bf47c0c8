#include <algorithm>
#include <cmath>
#include <limits>

#include "decode/strategies.h"

namespace tessera {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();

[[noreturn]] void no_token() {
  throw Error("no token is left that may follow", "generate",
              "the bans, the constraint and the end tokens of the options contradict each other");
}

}  // namespace

bool Task::ends(int64_t id) const {
  return std::find(options.end_ids.begin(), options.end_ids.end(), id) != options.end_ids.end();
}

uint64_t Task::seed(int64_t row) const {
  if (!hooks.seeds.empty()) return static_cast<uint64_t>(hooks.seeds.at(static_cast<size_t>(row)));
  return mix_seed(static_cast<uint64_t>(options.seed), static_cast<uint64_t>(row));
}

Text::Text(const Task& task, int64_t row, int64_t prompt)
    : task_(&task), row_(row), room_(task.room[static_cast<size_t>(prompt)]) {
  if (!task.prompt.ids.empty()) ids_ = task.prompt.ids[static_cast<size_t>(prompt)];
  prompt_length_ = ids_.size();
  if (task.hooks.constraint) place_ = task.hooks.constraint->start();
  if (task.hooks.watcher) watcher_ = task.hooks.watcher(row);
}

Text::Text(const Text& other)
    : result(other.result),
      task_(other.task_),
      row_(other.row_),
      room_(other.room_),
      ids_(other.ids_),
      prompt_length_(other.prompt_length_),
      place_(other.place_),
      watcher_(other.watcher_ ? other.watcher_->clone() : nullptr),
      ended_(other.ended_) {}

Text& Text::operator=(const Text& other) {
  if (this == &other) return *this;
  Text copy(other);
  std::swap(result, copy.result);
  std::swap(ids_, copy.ids_);
  std::swap(watcher_, copy.watcher_);
  task_ = copy.task_, row_ = copy.row_, room_ = copy.room_, prompt_length_ = copy.prompt_length_;
  place_ = copy.place_, ended_ = copy.ended_;
  return *this;
}

std::vector<float> Text::scores(std::span<const float> logits, const ProcessorChain& chain) const {
  std::vector<float> scores(logits.begin(), logits.end());
  // The constraint comes first, so that the truncations choose among what is allowed.
  if (Constraint* constraint = task_->hooks.constraint.get()) {
    const std::vector<bool>& allowed = constraint->allowed(place_);
    std::vector<float> kept(scores.size(), kNever);
    for (size_t i = 0; i < std::min(scores.size(), allowed.size()); ++i)
      if (allowed[i]) kept[i] = scores[i];
    const bool may_end = constraint->may_end(place_);
    for (const int64_t end : task_->options.end_ids) {
      const auto id = static_cast<size_t>(end);
      if (id < scores.size()) kept[id] = may_end ? scores[id] : kNever;
    }
    scores = std::move(kept);
  }
  chain.process(scores, so_far());
  return scores;
}

void Text::push(int64_t id, double log_probability, bool certain) {
  ids_.push_back(id);
  result.ids.push_back(id);
  if (task_->options.log_probabilities) result.log_probabilities.push_back(log_probability);
  if (certain && task_->hooks.on_token) task_->hooks.on_token(row_, id, log_probability);
  Constraint* constraint = task_->hooks.constraint.get();
  if (task_->ends(id)) return end(Finish::kEnd);
  if (constraint) place_ = constraint->next(place_, id);
  if (watcher_ && watcher_->push(id)) return end(Finish::kStop);
  if (constraint && constraint->must_end(place_)) return end(Finish::kEnd);
  if (made() >= task_->options.max_new_tokens) return end(Finish::kLength);
  if (made() >= room_) end(Finish::kContext);
}

int64_t likeliest(std::span<const float> scores) {
  const auto best = std::max_element(scores.begin(), scores.end());
  if (*best == kNever) no_token();
  return best - scores.begin();
}

std::vector<double> probabilities(std::span<const float> scores) {
  const float largest = *std::max_element(scores.begin(), scores.end());
  if (largest == kNever) no_token();
  std::vector<double> weights(scores.size());
  double sum = 0;
  for (size_t i = 0; i < scores.size(); ++i) sum += weights[i] = std::exp(static_cast<double>(scores[i]) - largest);
  for (double& weight : weights) weight /= sum;
  return weights;
}

int64_t draw(std::span<const double> weights, double sum, Random& random) {
  double left = random.uniform() * sum;
  int64_t last = -1;
  for (size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] <= 0) continue;
    last = static_cast<int64_t>(i);
    left -= weights[i];
    if (left < 0) break;
  }
  return last;
}

}  // namespace tessera
