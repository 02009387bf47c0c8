#include "data/automata.h"

namespace tessera {
namespace {

constexpr int64_t kLetters = 18;  // 'a' ... 'r'

size_t at(int64_t index) { return static_cast<size_t>(index); }

int64_t between(int64_t low, int64_t high, Random& random) {
  return low + static_cast<int64_t>(random.below(static_cast<uint64_t>(high - low + 1)));
}

void check_range(int64_t low, int64_t least, int64_t high, int64_t most, const std::string& where) {
  if (low < least || high < low || high > most)
    throw Error("from " + std::to_string(low) + " to " + std::to_string(high) + " is no range within " +
                    std::to_string(least) + " to " + std::to_string(most),
                where);
}

/// The states that words reach, in the order of a breadth-first search, with their new numbers in `number`.
std::vector<int64_t> reachable(const Transitions& automaton, std::vector<int64_t>& number) {
  std::vector<int64_t> order = {0};
  number.assign(automaton.size(), -1);
  number[0] = 0;
  for (size_t i = 0; i < order.size(); ++i)
    for (const auto& [symbol, to] : automaton[at(order[i])])
      if (number[at(to)] < 0) {
        number[at(to)] = static_cast<int64_t>(order.size());
        order.push_back(to);
      }
  return order;
}

/// For each state the class of those that the same words can follow (Moore's refinement): all states are one class at
/// first, and a class is split while its states have symbols, or classes that these lead to, that differ.
std::vector<int64_t> classes_of(const Transitions& automaton) {
  std::vector<int64_t> classes(automaton.size(), 0);
  for (size_t count = 1;;) {
    std::map<std::map<char, int64_t>, int64_t> known;
    std::vector<int64_t> finer;
    for (const auto& from : automaton) {
      std::map<char, int64_t> signature;
      for (const auto& [symbol, to] : from) signature[symbol] = classes[at(to)];
      finer.push_back(known.try_emplace(signature, static_cast<int64_t>(known.size())).first->second);
    }
    classes = finer;
    if (known.size() == count) return classes;
    count = known.size();
  }
}

}  // namespace

void check_automata(const AutomatonOptions& automaton, const AutomatonTextOptions& text, const std::string& where) {
  constexpr int64_t kMost = 1 << 20;
  check_range(automaton.min_states, 2, automaton.max_states, kMost, where + ".automaton: states");
  check_range(automaton.min_symbols, 1, automaton.max_symbols, kLetters, where + ".automaton: symbols");
  check_range(1, 1, automaton.max_edges, std::min(automaton.min_symbols, automaton.min_states - 1),
              where + ".automaton: edges");
  check_range(text.min_words, 1, text.max_words, kMost, where + ".text: words");
  check_range(1, 1, text.longest, kMost, where + ".text.longest");
}

Transitions random_automaton(const AutomatonOptions& options, Random& random) {
  const int64_t states = between(options.min_states, options.max_states, random);
  const int64_t symbols = between(options.min_symbols, options.max_symbols, random);
  const std::vector<int64_t> letters = random.permutation(kLetters);
  Transitions automaton(at(states));
  for (int64_t from = 0; from < states; ++from) {
    const int64_t edges = between(1, options.max_edges, random);
    const std::vector<int64_t> chosen = random.permutation(symbols), targets = random.permutation(states - 1);
    for (int64_t i = 0; i < edges; ++i) {
      const int64_t to = targets[at(i)] + (targets[at(i)] >= from ? 1 : 0);  // never itself
      automaton[at(from)][static_cast<char>('a' + letters[at(chosen[at(i)])])] = to;
    }
  }
  return minimal(automaton);
}

Transitions minimal(const Transitions& automaton) {
  const std::vector<int64_t> classes = classes_of(automaton);
  // Any state stands for its class: class 0 is that of state 0, since it is seen first.
  Transitions merged;
  for (size_t state = 0; state < automaton.size(); ++state) {
    if (at(classes[state]) < merged.size()) continue;
    auto& from = merged.emplace_back();
    for (const auto& [symbol, to] : automaton[state]) from[symbol] = classes[at(to)];
  }
  std::vector<int64_t> number;
  Transitions result;
  for (const int64_t state : reachable(merged, number)) {
    auto& from = result.emplace_back();
    for (const auto& [symbol, to] : merged[at(state)]) from[symbol] = number[at(to)];
  }
  return result;
}

std::string random_word(const Transitions& automaton, int64_t length, Random& random) {
  std::string word;
  int64_t state = 0;
  for (int64_t i = 0; i < length && !automaton[at(state)].empty(); ++i) {
    const auto& from = automaton[at(state)];
    const auto edge = std::next(from.begin(), static_cast<int64_t>(random.below(from.size())));
    word += edge->first;
    state = edge->second;
  }
  return word;
}

std::string random_text(const Transitions& automaton, const AutomatonTextOptions& options, Random& random) {
  std::string text;
  const int64_t words = between(options.min_words, options.max_words, random);
  for (int64_t i = 0; i < words; ++i)
    text += (i == 0 ? "" : "|") + random_word(automaton, between(1, options.longest, random), random);
  return text;
}

}  // namespace tessera
