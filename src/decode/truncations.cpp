#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "decode/processors.h"

namespace tessera {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();

/// exp(score - largest) for each score, and their sum.
std::vector<double> weights_of(std::span<const float> scores, double& sum) {
  const float largest = *std::max_element(scores.begin(), scores.end());
  std::vector<double> weights(scores.size());
  sum = 0;
  for (size_t i = 0; i < scores.size(); ++i)
    sum += weights[i] = scores[i] == kNever ? 0 : std::exp(scores[i] - largest);
  return weights;
}

/// Walks the tokens in the order of `before`, of which mostly a few are looked at, until `take` says stop; the others
/// are banned. At least `least` stay.
template <class Before, class Take>
void keep_first(std::span<float> scores, size_t least, Before before, Take take) {
  std::vector<size_t> order;
  for (size_t i = 0; i < scores.size(); ++i)
    if (scores[i] != kNever) order.push_back(i);
  size_t sorted = 0, kept = 0;
  for (; kept < order.size(); ++kept) {
    if (kept == sorted) {
      const size_t more = std::min(order.size(), std::max<size_t>(64, 4 * sorted));
      const auto at = [&](size_t i) { return order.begin() + static_cast<std::ptrdiff_t>(i); };
      std::partial_sort(at(sorted), at(more), order.end(),
                        [&](size_t a, size_t b) { return before(a, b) || (!before(b, a) && a < b); });
      sorted = more;
    }
    if (!take(order[kept]) && kept >= least) break;
  }
  for (size_t i = kept; i < order.size(); ++i) scores[order[i]] = kNever;
}

class Temperature : public LogitsProcessor {
 public:
  explicit Temperature(double temperature) : temperature_(static_cast<float>(temperature)) {}
  void process(std::span<float> scores, const TextSoFar&) const override {
    for (float& score : scores) score /= temperature_;
  }

 private:
  float temperature_;
};

/// "Hierarchical Neural Story Generation" (Fan et al., 2018). Tokens that are as likely as the last one stay, too.
class TopK : public LogitsProcessor {
 public:
  TopK(int64_t k, size_t least) : k_(std::max(static_cast<size_t>(k), least)) {}
  void process(std::span<float> scores, const TextSoFar&) const override {
    if (k_ >= scores.size()) return;
    std::vector<float> sorted(scores.begin(), scores.end());
    std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(k_ - 1), sorted.end(),
                     std::greater<>());
    const float last = sorted[k_ - 1];
    for (float& score : scores)
      if (score < last) score = kNever;
  }

 private:
  size_t k_;
};

/// "The Curious Case of Neural Text Degeneration" (Holtzman et al., 2020): a token stays when those before it have less
/// than `p` together.
class TopP : public LogitsProcessor {
 public:
  TopP(double p, size_t least) : p_(p), least_(least) {}
  void process(std::span<float> scores, const TextSoFar&) const override {
    double sum = 0, before = 0;
    const auto weights = weights_of(scores, sum);
    keep_first(
        scores, least_, [&](size_t a, size_t b) { return weights[a] > weights[b]; },
        [&](size_t i) {
          const bool kept = before < p_ * sum;
          before += weights[i];
          return kept;
        });
  }

 private:
  double p_;
  size_t least_;
};

/// "Turning Up the Heat: Min-p Sampling" (Nguyen et al., 2024).
class MinP : public LogitsProcessor {
 public:
  MinP(double p, size_t least) : p_(p), least_(least) {}
  void process(std::span<float> scores, const TextSoFar&) const override {
    const double lowest = *std::max_element(scores.begin(), scores.end()) + std::log(p_);
    const std::vector<float> given(scores.begin(), scores.end());
    keep_first(
        scores, least_, [&](size_t a, size_t b) { return given[a] > given[b]; },
        [&](size_t i) { return given[i] >= lowest; });
  }

 private:
  double p_;
  size_t least_;
};

/// "Locally Typical Sampling" (Meister et al., 2023): the tokens whose surprise is nearest to the entropy, until they
/// have `p` together, and those as near as the last one.
class Typical : public LogitsProcessor {
 public:
  Typical(double p, size_t least) : p_(p), least_(least) {}
  void process(std::span<float> scores, const TextSoFar&) const override {
    double sum = 0, entropy = 0, mass = 0, last = std::numeric_limits<double>::infinity();
    const auto weights = weights_of(scores, sum);
    std::vector<double> distance(scores.size());
    for (size_t i = 0; i < weights.size(); ++i)
      if (weights[i] > 0) entropy += distance[i] = -std::log(weights[i] / sum) * (weights[i] / sum);
    for (size_t i = 0; i < weights.size(); ++i)
      distance[i] =
          weights[i] > 0 ? std::abs(-std::log(weights[i] / sum) - entropy) : std::numeric_limits<double>::infinity();
    keep_first(
        scores, least_, [&](size_t a, size_t b) { return distance[a] < distance[b]; },
        [&](size_t i) {
          const bool kept = distance[i] <= last;
          mass += weights[i] / sum;
          if (mass >= p_ && !std::isfinite(last)) last = distance[i];
          return kept;
        });
  }

 private:
  double p_;
  size_t least_;
};

}  // namespace

void add_truncations(ProcessorChain& chain, const GenerateOptions& o) {
  // A beam search draws a successor and, where that one ends the text, others beside it.
  const size_t least = o.num_beams > 1 ? std::max<size_t>(2, o.end_ids.size() + 1) : 1;
  if (o.temperature != 1) chain.add(std::make_unique<Temperature>(o.temperature));
  if (o.top_k > 0) chain.add(std::make_unique<TopK>(o.top_k, least));
  if (o.top_p < 1) chain.add(std::make_unique<TopP>(o.top_p, least));
  if (o.min_p > 0) chain.add(std::make_unique<MinP>(o.min_p, least));
  if (o.typical_p < 1) chain.add(std::make_unique<Typical>(o.typical_p, least));
}

}  // namespace tessera
