#include <algorithm>
#include <cmath>
#include <limits>

#include "decode/strategies.h"

namespace tessera {
namespace {

constexpr double kDead = -std::numeric_limits<double>::infinity();

/// A beam that goes on with one more token.
struct Candidate {
  double key;    // by which it is chosen: its score, or what was drawn by it
  double score;  // log-probability of the whole
  size_t beam;
  int64_t id;
};

/// The best of many, best first; of equal ones those that came first.
class Best {
 public:
  explicit Best(size_t count) : count_(count) {}
  void add(const Candidate& candidate) {
    if (heap_.size() == count_ && !(candidate.key > heap_.front().key)) return;
    heap_.push_back(candidate);
    std::push_heap(heap_.begin(), heap_.end(), better);
    if (heap_.size() <= count_) return;
    std::pop_heap(heap_.begin(), heap_.end(), better);
    heap_.pop_back();
  }
  std::vector<Candidate> sorted() && {
    std::sort_heap(heap_.begin(), heap_.end(), better);
    return std::move(heap_);
  }

 private:
  static bool better(const Candidate& a, const Candidate& b) {
    if (a.key != b.key) return a.key > b.key;
    return a.beam != b.beam ? a.beam < b.beam : a.id < b.id;
  }
  size_t count_;
  std::vector<Candidate> heap_;
};

/// log softmax(logits), in float as the reference has it.
std::vector<float> log_softmax(std::span<const float> logits) {
  const float largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - largest);
  const double log_sum = largest + std::log(sum);
  std::vector<float> result(logits.size());
  for (size_t i = 0; i < logits.size(); ++i) result[i] = static_cast<float>(logits[i] - log_sum);
  return result;
}

/// The search for one prompt, or with diverse groups one group of it; the bookkeeping is that of transformers.
class Search {
 public:
  Search(const Task& task, int64_t prompt, size_t beams) : task_(task), random_(task.seed(prompt)), beams_(beams) {
    for (size_t i = 0; i < beams; ++i) running_.push_back({Text(task, prompt, prompt), i == 0 ? 0 : kDead, i});
  }

  /// One more token for each beam; afterwards `running` says what to read next.
  /// @param first   the row of the first beam
  /// @param others  tokens that the groups before it have taken at this place, which cost `diversity_penalty` each
  void step(const Continuation& model, const ProcessorChain& chain, int64_t first, const std::vector<int64_t>& others) {
    const auto candidates = candidates_of(model, chain, first, others);
    std::vector<Beam> going_on, ended;
    for (size_t rank = 0; rank < candidates.size(); ++rank) {
      const Candidate& candidate = candidates[rank];
      Beam beam{running_[candidate.beam].text, candidate.score, candidate.beam};
      const auto logits = model.logits(first + static_cast<int64_t>(candidate.beam));
      beam.text.push(candidate.id, task_.options.log_probabilities ? log_probability(logits, candidate.id) : 0, false);
      if (!beam.text.ended())
        going_on.push_back(std::move(beam));
      else if (rank < beams_)  // the others are there to keep enough beams that go on
        ended.push_back(std::move(beam));
    }
    for (Beam& beam : ended) finish(beam);
    std::stable_sort(going_on.begin(), going_on.end(), [](const Beam& a, const Beam& b) { return a.score > b.score; });
    if (going_on.size() > beams_)
      going_on.erase(going_on.begin() + static_cast<std::ptrdiff_t>(beams_), going_on.end());
    if (going_on.empty()) {
      if (finished_.empty()) throw Error("no token is left that may follow", "generate", "allow more");
      done_ = true;
      return;
    }
    while (going_on.size() < beams_) going_on.push_back({going_on.front().text, kDead, going_on.front().from});
    running_ = std::move(going_on);
    done_ = !can_improve() || (full() && task_.options.early_stopping == "true");
  }

  bool done() const { return done_; }
  bool alive(size_t beam) const { return running_[beam].score != kDead; }
  size_t from(size_t beam) const { return running_[beam].from; }
  int64_t last(size_t beam) const { return running_[beam].text.so_far().ids.back(); }

  void interrupt() {
    if (done_) return;
    for (Beam& beam : running_)
      if (beam.score != kDead && !beam.text.ended()) beam.text.end(Finish::kInterrupted), finish(beam);
    done_ = true;
  }

  std::vector<Generated> results() {
    std::vector<Generated> all;
    for (Beam& beam : finished_) {
      beam.text.result.score = beam.score;
      all.push_back(std::move(beam.text.result));
    }
    return all;
  }

 private:
  struct Beam {
    Text text;
    double score;  // log-probability; of a finished one divided by length^penalty
    size_t from;   // which beam it was
  };

  std::vector<Candidate> candidates_of(const Continuation& model, const ProcessorChain& chain, int64_t first,
                                       const std::vector<int64_t>& others) {
    const GenerateOptions& o = task_.options;
    Best best(std::max<size_t>(2, 1 + o.end_ids.size()) * beams_);
    for (size_t beam = 0; beam < beams_; ++beam) {
      if (!alive(beam)) continue;
      std::vector<float> chances = log_softmax(model.logits(first + static_cast<int64_t>(beam)));
      for (const int64_t id : others) chances[static_cast<size_t>(id)] -= static_cast<float>(o.diversity_penalty);
      const std::vector<float> scores = running_[beam].text.scores(chances, chain);
      for (size_t id = 0; id < scores.size(); ++id) {
        if (scores[id] == -std::numeric_limits<float>::infinity()) continue;
        const double score = running_[beam].score + scores[id];
        // The largest of score + Gumbel noise are a sample without replacement (Kool et al., 2019).
        const double noise = o.do_sample ? -std::log(-std::log(std::max(random_.uniform(), 1e-300))) : 0;
        best.add({score + noise, score, beam, static_cast<int64_t>(id)});
      }
    }
    return std::move(best).sorted();
  }

  double length_factor(int64_t length) const {
    return std::pow(static_cast<double>(std::max<int64_t>(length, 1)), task_.options.length_penalty);
  }
  bool full() const { return finished_.size() == beams_; }

  void finish(const Beam& beam) {
    finished_.push_back(beam);
    finished_.back().score = beam.score / length_factor(beam.text.made());
    std::stable_sort(finished_.begin(), finished_.end(),
                     [](const Beam& a, const Beam& b) { return a.score > b.score; });
    if (finished_.size() > beams_) finished_.pop_back();
  }

  /// Whether the best running beam may still beat the worst finished one.
  bool can_improve() const {
    if (!full()) return true;
    const GenerateOptions& o = task_.options;
    const bool by_longest = o.early_stopping == "never" && o.length_penalty > 0;
    const int64_t length = by_longest ? o.max_new_tokens : running_.front().text.made();
    return running_.front().score / length_factor(length) > finished_.back().score;
  }

  const Task& task_;
  Random random_;
  size_t beams_;
  std::vector<Beam> running_, finished_;  // both best first
  bool done_ = false;
};

/// All searches of a batch, in the order of the model's rows: prompts, groups of each, beams of each.
class Searches {
 public:
  explicit Searches(const Task& task)
      : task_(task),
        groups_(task.options.num_beam_groups),
        beams_(task.options.num_beams / groups_),
        chain_(make_processors(task.options)),
        model_(task.model, task.state, task.prompt, task.options.max_new_tokens) {
    std::vector<int64_t> rows;
    for (int64_t prompt = 0; prompt < task.prompt.tokens.x.size(0); ++prompt)
      for (int64_t i = 0; i < task.options.num_beams; ++i) {
        if (i % beams_ == 0) searches_.emplace_back(task, prompt, static_cast<size_t>(beams_));
        rows.push_back(prompt);
      }
    model_.select(rows);
  }

  std::vector<Generated> run() {
    if (task_.options.max_new_tokens == 0) {
      return std::vector<Generated>(searches_.size() / static_cast<size_t>(groups_) *
                                    static_cast<size_t>(task_.options.num_return_sequences));
    }
    while (true) {
      if (task_.interrupted())
        for (Search& search : searches_) search.interrupt();
      step_all();
      if (std::all_of(searches_.begin(), searches_.end(), [](const Search& search) { return search.done(); })) break;
      read_all();
    }
    return results();
  }

 private:
  void step_all() {
    std::vector<int64_t> taken;
    for (size_t i = 0; i < searches_.size(); ++i) {
      Search& search = searches_[i];
      if (static_cast<int64_t>(i) % groups_ == 0) taken.clear();
      if (search.done()) continue;
      search.step(model_, chain_, static_cast<int64_t>(i) * beams_, taken);
      for (size_t beam = 0; !search.done() && beam < static_cast<size_t>(beams_); ++beam)
        if (search.alive(beam)) taken.push_back(search.last(beam));
    }
  }

  void read_all() {
    std::vector<int64_t> rows, ids;
    std::vector<bool> ended;
    for (size_t i = 0; i < searches_.size(); ++i)
      for (size_t beam = 0; beam < static_cast<size_t>(beams_); ++beam) {
        const bool idle = searches_[i].done() || !searches_[i].alive(beam);
        const size_t from = idle ? beam : searches_[i].from(beam);
        rows.push_back(static_cast<int64_t>(i) * beams_ + static_cast<int64_t>(from));
        ids.push_back(idle ? task_.options.padding_id : searches_[i].last(beam));
        ended.push_back(idle);
      }
    model_.select(rows);
    model_.advance(ids, ended);
  }

  std::vector<Generated> results() {
    std::vector<Generated> all;
    for (size_t i = 0; i < searches_.size(); i += static_cast<size_t>(groups_)) {
      std::vector<Generated> of_prompt;
      for (size_t group = 0; group < static_cast<size_t>(groups_); ++group)
        for (Generated& result : searches_[i + group].results()) of_prompt.push_back(std::move(result));
      std::stable_sort(of_prompt.begin(), of_prompt.end(),
                       [](const Generated& a, const Generated& b) { return a.score > b.score; });
      // Where there are fewer texts than were asked for, the others are empty.
      of_prompt.resize(static_cast<size_t>(task_.options.num_return_sequences));
      for (Generated& result : of_prompt) all.push_back(std::move(result));
    }
    return all;
  }

  const Task& task_;
  int64_t groups_, beams_;
  ProcessorChain chain_;
  Continuation model_;
  std::vector<Search> searches_;
};

}  // namespace

std::vector<Generated> decode_by_beams(const Task& task) { return Searches(task).run(); }

}  // namespace tessera
