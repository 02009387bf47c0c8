#include "metrics/in_context_language.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "core/error.h"

namespace tessera {
namespace {

constexpr char kSeparator = '|';

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> words(1);
  for (const char symbol : text)
    if (symbol == kSeparator)
      words.emplace_back();
    else
      words.back() += symbol;
  return words;
}

std::string last_word(const std::string& text) { return text.substr(text.rfind(kSeparator) + 1); }

torch::Tensor zeros(int64_t vocabulary) { return torch::zeros({vocabulary}, torch::kFloat64); }

/// Counts of all n-grams up to an order in words that begin with order - 1 times '_', and what they predict.
class Everygrams {
 public:
  struct Prediction {
    double probability = 0;
    int64_t order = 0;  // of the n-gram that it comes from
  };
  using Predictions = std::map<char, Prediction>;

  Everygrams(const std::vector<std::string>& words, const NgramOptions& options) : options_(options) {
    for (const std::string& word : words) {
      symbols_.insert(word.begin(), word.end());
      const std::string padded = std::string(static_cast<size_t>(options.order - 1), '_') + word;
      for (size_t n = 1; n <= static_cast<size_t>(options.order); ++n)
        for (size_t i = 0; i + n <= padded.size(); ++i) ++counts_[padded.substr(i, n)];
    }
    for (const auto& [gram, count] : counts_)
      if (gram.size() == 1) ++single_kinds_, singles_ += static_cast<double>(count);
  }

  Predictions predict(const std::string& word) const {
    const auto length = static_cast<size_t>(options_.order - 1);
    const std::string padded = std::string(length, '_') + word;
    return predict(padded.substr(padded.size() - length), symbols_);
  }

 private:
  double conditional(const std::string& prefix, int64_t count) const {
    const double one = options_.add_one ? 1 : 0;
    if (prefix.empty()) return (static_cast<double>(count) + one) / (singles_ + one * single_kinds_);
    return (static_cast<double>(count) + one) /
           (static_cast<double>(counts_.at(prefix)) + one * static_cast<double>(symbols_.size()));
  }

  /// Symbols that followed the prefix, and by the shorter prefix the others of the vocabulary.
  Predictions predict(const std::string& prefix, const std::set<char>& wanted) const {
    const auto order = static_cast<int64_t>(prefix.size()) + 1;
    Predictions seen;
    std::set<char> unseen;
    double left = 1;
    for (const char symbol : symbols_) {
      const auto found = counts_.find(prefix + symbol);
      if (found == counts_.end()) {
        unseen.insert(symbol);
        continue;
      }
      seen[symbol] = {conditional(prefix, found->second), order};
      left -= seen[symbol].probability;
    }
    Predictions shorter;
    if (!unseen.empty() && options_.back_off) shorter = share(prefix, unseen, left);
    Predictions result;
    for (const char symbol : wanted)
      result[symbol] = seen.contains(symbol)      ? seen[symbol]
                       : shorter.contains(symbol) ? shorter[symbol]
                                                  : Prediction{0, order};
    return result;
  }

  Predictions share(const std::string& prefix, const std::set<char>& unseen, double left) const {
    if (prefix.empty() || left <= 0)
      throw Error("back-off has no mass to give away", "n-gram model", "choose a smaller order, or add one");
    Predictions result = predict(prefix.substr(1), unseen);
    double sum = 0;
    for (const auto& [symbol, prediction] : result) sum += prediction.probability;
    for (auto& [symbol, prediction] : result) prediction.probability *= left / sum;
    return result;
  }

  NgramOptions options_;
  std::set<char> symbols_;
  std::map<std::string, int64_t> counts_;
  double singles_ = 0, single_kinds_ = 0;
};

void even_out(Everygrams::Predictions& predictions) {
  std::map<int64_t, std::vector<double*>> by_order;
  for (auto& [symbol, prediction] : predictions)
    if (prediction.probability != 0) by_order[prediction.order].push_back(&prediction.probability);
  for (auto& [order, values] : by_order) {
    double sum = 0;
    for (const double* value : values) sum += *value;
    for (double* value : values) *value = sum / static_cast<double>(values.size());
  }
}

}  // namespace

int64_t symbol_id(char symbol, int64_t vocabulary) {
  const int64_t id = symbol == '.' ? 0 : symbol == kSeparator ? vocabulary - 1 : symbol - 'a' + 1;
  if (id < 0 || id >= vocabulary)
    throw Error(std::string("the symbol '") + symbol + "' is not in the vocabulary", "in-context language");
  return id;
}

Automaton::Automaton(std::vector<std::map<char, int64_t>> transitions) : transitions_(std::move(transitions)) {
  const auto states = static_cast<int64_t>(transitions_.size());
  for (const auto& from : transitions_)
    for (const auto& [symbol, to] : from)
      if (to < 0 || to >= states)
        throw Error("a transition leads to state " + std::to_string(to) + " of " + std::to_string(states), "automaton");
}

std::vector<int64_t> Automaton::trace(const std::string& word) const {
  std::vector<int64_t> states = {0};
  for (const char symbol : word) {
    const auto& from = transitions_.at(static_cast<size_t>(states.back()));
    const auto found = from.find(symbol);
    if (found == from.end()) break;
    states.push_back(found->second);
  }
  return states;
}

torch::Tensor Automaton::next(const std::string& word, int64_t vocabulary) const {
  if (!accepts(word)) throw Error("does not accept '" + word + "'", "automaton");
  const auto& from = transitions_[static_cast<size_t>(trace(word).back())];
  torch::Tensor result = zeros(vocabulary);
  for (const auto& [symbol, to] : from) result[symbol_id(symbol, vocabulary)] = 1.0 / static_cast<double>(from.size());
  return result;
}

torch::Tensor automaton_probabilities(const Automaton& automaton, const std::string& text, int64_t vocabulary) {
  std::vector<torch::Tensor> rows;
  for (size_t i = 1; i <= text.size(); ++i) rows.push_back(automaton.next(last_word(text.substr(0, i)), vocabulary));
  return torch::stack(rows);
}

std::vector<int64_t> legal_predictions(const Automaton& automaton, const std::string& text,
                                       const std::string& prediction) {
  const auto words = split(text), predicted = split(prediction);
  std::vector<int64_t> flags;
  for (size_t w = 0; w < words.size(); ++w) {
    if (w > 0) flags.push_back(2);
    const std::string guesses = w < predicted.size() ? predicted[w] : "";
    for (size_t i = 0; i < std::min(words[w].size(), guesses.size()); ++i)
      flags.push_back(automaton.accepts(words[w].substr(0, w == 0 ? i + 1 : i) + guesses[i]) ? 1 : 0);
  }
  return flags;
}

double distance_to_automaton(const torch::Tensor& logits, const Automaton& automaton, const std::string& text) {
  const auto length = static_cast<int64_t>(text.size());
  const torch::Tensor wanted = automaton_probabilities(automaton, text, logits.size(1));
  const torch::Tensor given = logits.to(torch::kFloat64).softmax(-1);
  double sum = 0, count = 0;
  for (int64_t t = 1; t < length - 2; ++t) {
    if (text[static_cast<size_t>(t)] == kSeparator) continue;
    sum += (given[t - 1] - wanted[t]).abs().sum().item<double>();
    ++count;
  }
  if (count == 0) throw Error("has no place to compare", "in-context language", "give a longer text");
  return sum / count;
}

torch::Tensor predicted_places(const std::string& text) {
  std::vector<int64_t> places;
  for (size_t i = 0; i + 1 < text.size(); ++i)
    if (text[i + 1] != kSeparator) places.push_back(static_cast<int64_t>(i));
  return torch::tensor(places, torch::kInt64);
}

InContextScore score_in_context(const torch::Tensor& given, const torch::Tensor& wanted, const torch::Tensor& places) {
  if (places.numel() == 0) throw Error("has no place to compare", "in-context language", "give a longer text");
  const torch::Tensor mine = given.to(torch::kFloat64).index_select(0, places);
  const torch::Tensor truth = wanted.index_select(0, places);
  const torch::Tensor chosen = truth.gather(1, mine.argmax(1, true));
  return {chosen.gt(0).to(torch::kFloat64).mean().item<double>(), (mine - truth).abs().sum(1).mean().item<double>()};
}

torch::Tensor ngram_probabilities(const std::string& text, int64_t vocabulary, const NgramOptions& options) {
  if (options.order < 2 || text.empty()) throw Error("an order of at least 2 and a text are needed", "n-gram model");
  std::vector<torch::Tensor> rows;
  for (size_t i = 1; i <= text.size(); ++i) {
    const std::string read = text.substr(0, i);
    auto predictions = Everygrams(split(read), options).predict(last_word(read));
    if (options.uniform) even_out(predictions);
    torch::Tensor row = zeros(vocabulary);
    for (const auto& [symbol, prediction] : predictions) row[symbol_id(symbol, vocabulary)] = prediction.probability;
    rows.push_back(row);
  }
  return torch::stack(rows);
}

}  // namespace tessera
