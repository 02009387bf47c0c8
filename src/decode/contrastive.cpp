#include <algorithm>
#include <limits>

#include "decode/strategies.h"

namespace tessera {
namespace {

/// The directions of a text's hidden states, in a buffer that grows by doubling.
class Directions {
 public:
  /// @param x  L x D
  void add(const Tensor& x) {
    const int64_t added = x.size(0), capacity = vectors_.defined() ? vectors_.size(0) : 0;
    if (count_ + added > capacity) {
      const Tensor larger = torch::empty({std::max(count_ + added, 2 * capacity), x.size(1)}, x.options());
      if (count_ > 0) larger.narrow(0, 0, count_).copy_(vectors_.narrow(0, 0, count_));
      vectors_ = larger;
    }
    vectors_.narrow(0, count_, added).copy_(unit(x));
    count_ += added;
  }
  /// Of each candidate, K x D, the largest cosine with any of them: K.
  Tensor largest_cosine(const Tensor& candidates) const {
    return std::get<0>(torch::matmul(unit(candidates), vectors_.narrow(0, 0, count_).t()).max(1));
  }

 private:
  static Tensor unit(const Tensor& x) { return x / x.norm(2, -1, true).clamp_min(1e-30); }
  Tensor vectors_;
  int64_t count_ = 0;
};

struct Candidates {
  std::vector<int64_t> ids;
  std::vector<double> chances;
};

Candidates likeliest_ones(const std::vector<float>& scores, size_t count) {
  const auto chances = probabilities(scores);
  std::vector<size_t> order;
  for (size_t i = 0; i < chances.size(); ++i)
    if (chances[i] > 0) order.push_back(i);
  count = std::min(count, order.size());
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end(),
                    [&](size_t a, size_t b) { return chances[a] != chances[b] ? chances[a] > chances[b] : a < b; });
  Candidates best;
  for (size_t i = 0; i < count; ++i)
    best.ids.push_back(static_cast<int64_t>(order[i])), best.chances.push_back(chances[order[i]]);
  return best;
}

}  // namespace

/// "A Contrastive Framework for Neural Text Generation" (Su et al., 2022): of the k likeliest tokens the one with the
/// largest (1 - alpha) p - alpha max cos(h, h'), where h is its hidden state and h' those of the text. All k are read
/// at once, as rows of a batch.
std::vector<Generated> decode_by_contrast(const Task& task) {
  const torch::NoGradGuard no_grad;
  const GenerateOptions& o = task.options;
  const ProcessorChain chain = make_processors(o);
  Continuation model(task.model, task.state, task.prompt, o.max_new_tokens, true);
  const int64_t batch = model.rows(), k = o.top_k;
  std::vector<Text> texts;
  std::vector<Directions> seen(static_cast<size_t>(batch));
  std::vector<int64_t> rows;
  for (int64_t row = 0; row < batch; ++row) {
    texts.emplace_back(task, row, row);
    if (o.max_new_tokens == 0) texts.back().end(Finish::kLength);
    Tensor states = model.prompt_hidden()[row];
    if (task.prompt.tokens.mask.defined()) states = states.index({task.prompt.tokens.mask[row].to(torch::kBool)});
    seen[static_cast<size_t>(row)].add(states);
    rows.insert(rows.end(), static_cast<size_t>(k), row);
  }
  model.select(rows);
  while (true) {
    const bool stop = task.interrupted();
    std::vector<int64_t> ids(rows.size(), o.padding_id);
    std::vector<bool> idle(rows.size(), true);
    std::vector<Candidates> candidates(texts.size());
    bool all_ended = true;
    for (size_t i = 0; i < texts.size(); ++i) {
      if (!texts[i].ended() && stop) texts[i].end(Finish::kInterrupted);
      if (texts[i].ended()) continue;
      all_ended = false;
      const size_t first = i * static_cast<size_t>(k);
      candidates[i] =
          likeliest_ones(texts[i].scores(model.logits(static_cast<int64_t>(first)), chain), static_cast<size_t>(k));
      for (size_t c = 0; c < candidates[i].ids.size(); ++c)
        ids[first + c] = candidates[i].ids[c], idle[first + c] = false;
    }
    if (all_ended) break;
    std::vector<double> log_probabilities(rows.size(), std::numeric_limits<double>::quiet_NaN());
    for (size_t i = 0; o.log_probabilities && i < rows.size(); ++i)
      if (!idle[i]) log_probabilities[i] = log_probability(model.logits(static_cast<int64_t>(i)), ids[i]);
    model.advance(ids, idle);
    for (size_t i = 0; i < texts.size(); ++i) {
      const auto first = static_cast<int64_t>(i) * k;
      std::fill_n(rows.begin() + first, k, first);
      if (texts[i].ended()) continue;
      const auto count = static_cast<int64_t>(candidates[i].ids.size());
      const Tensor chances = torch::tensor(candidates[i].chances, torch::kFloat64);
      const Tensor alike =
          seen[i].largest_cosine(model.hidden().narrow(0, first, count)).to(torch::kCPU, torch::kFloat64);
      const int64_t best = first + ((1 - o.penalty_alpha) * chances - o.penalty_alpha * alike).argmax().item<int64_t>();
      std::fill_n(rows.begin() + first, k, best);
      seen[i].add(model.hidden().narrow(0, best, 1));
      texts[i].push(ids[static_cast<size_t>(best)], log_probabilities[static_cast<size_t>(best)]);
    }
    model.select(rows);
  }
  std::vector<Generated> results;
  for (Text& text : texts) results.push_back(std::move(text.result));
  return results;
}

}  // namespace tessera
