#include "data/automata.h"

#include <gtest/gtest.h>

#include <numeric>
#include <set>

namespace tessera {
namespace {

/// Every word of up to this many symbols that may follow a state.
std::set<std::string> words_from(const Transitions& automaton, int64_t state, int64_t length) {
  std::set<std::string> words = {""};
  if (length == 0) return words;
  for (const auto& [symbol, to] : automaton[static_cast<size_t>(state)])
    for (const std::string& rest : words_from(automaton, to, length - 1)) words.insert(symbol + rest);
  return words;
}

bool accepts(const Transitions& automaton, const std::string& word) {
  int64_t state = 0;
  for (const char symbol : word) {
    const auto& from = automaton[static_cast<size_t>(state)];
    if (!from.contains(symbol)) return false;
    state = from.at(symbol);
  }
  return true;
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> words(1);
  for (const char symbol : text) symbol == '|' ? words.emplace_back() : words.back() += symbol;
  return words;
}

TEST(Automata, NoTwoStatesAreEquivalentAndAllAreReached) {
  Random random(1);
  for (int i = 0; i < 40; ++i) {
    // Few symbols, so that equivalent states are drawn.
    const Transitions automaton = random_automaton(
        {.min_states = 4, .max_states = 6, .min_symbols = 2, .max_symbols = 2, .max_edges = 2}, random);
    const auto states = static_cast<int64_t>(automaton.size());
    std::set<std::set<std::string>> futures;
    std::set<int64_t> reached = {0};
    for (int64_t s = 0; s < states; ++s) futures.insert(words_from(automaton, s, states));
    for (int64_t round = 0; round < states; ++round)
      for (const int64_t s : std::set(reached))
        for (const auto& [symbol, to] : automaton[static_cast<size_t>(s)]) reached.insert(to);
    EXPECT_EQ(static_cast<int64_t>(futures.size()), states);
    EXPECT_EQ(static_cast<int64_t>(reached.size()), states);
  }
}

TEST(Automata, MinimisingKeepsTheLanguage) {
  Random random(2);
  for (int i = 0; i < 20; ++i) {
    Transitions automaton(5);
    for (int64_t from = 0; from < 5; ++from)
      for (const char symbol : {'a', 'b'})
        if (symbol == 'a' || random.chance(0.5)) automaton[static_cast<size_t>(from)][symbol] = random.below(5);
    EXPECT_EQ(words_from(automaton, 0, 7), words_from(minimal(automaton), 0, 7));
  }
}

TEST(Automata, EquivalentStatesBecomeOne) {
  Transitions automaton(4);
  automaton[0]['a'] = 1, automaton[0]['b'] = 2;  // 1 and 2 go on alike, and 3 is never reached
  automaton[1]['c'] = 0, automaton[2]['c'] = 0, automaton[3]['a'] = 1;
  const Transitions small = minimal(automaton);
  ASSERT_EQ(small.size(), 2u);
  EXPECT_EQ(small[0].at('a'), small[0].at('b'));
}

TEST(Automata, EveryWordOfATextIsLegal) {
  Random random(3);
  for (int i = 0; i < 50; ++i) {
    const Transitions automaton = random_automaton({}, random);
    for (const std::string& word : split(random_text(automaton, {}, random)))
      EXPECT_TRUE(accepts(automaton, word)) << word;
  }
}

TEST(Automata, WordsAndTheirLengthsAreUniform) {
  Random random(4);
  const AutomatonTextOptions options{.min_words = 3, .max_words = 6, .longest = 5};
  std::map<size_t, double> lengths, counts;
  double words = 0;
  for (int i = 0; i < 4000; ++i) {
    const auto text = split(random_text(random_automaton({}, random), options, random));
    ++counts[text.size()];
    for (const auto& word : text) ++lengths[word.size()], ++words;
  }
  ASSERT_EQ(counts.size(), 4u);
  for (const auto& [count, times] : counts) EXPECT_NEAR(times / 4000, 1.0 / 4, 0.03) << count;
  ASSERT_EQ(lengths.size(), 5u);  // 1 ... 5: every state has a way out
  for (const auto& [length, times] : lengths) EXPECT_NEAR(times / words, 1.0 / 5, 0.02) << length;
}

TEST(Automata, AWalkTakesEveryWayAlikeOften) {
  Transitions automaton(2);
  automaton[0]['a'] = 0, automaton[0]['b'] = 1, automaton[0]['c'] = 1;
  automaton[1]['d'] = 0;
  Random random(5);
  std::map<char, double> first;
  for (int i = 0; i < 6000; ++i) ++first[random_word(automaton, 1, random).at(0)];
  for (const char symbol : {'a', 'b', 'c'}) EXPECT_NEAR(first[symbol] / 6000, 1.0 / 3, 0.03) << symbol;
}

TEST(Automata, ASeedGivesTheSameLanguage) {
  Random first(6), again(6), other(7);
  const Transitions automaton = random_automaton({}, first);
  EXPECT_EQ(automaton, random_automaton({}, again));
  EXPECT_NE(automaton, random_automaton({}, other));
}

TEST(Automata, RangesThatCannotBeAreRefused) {
  EXPECT_NO_THROW(check_automata({}, {}, "recipe"));
  EXPECT_THROW(check_automata({.min_states = 5, .max_states = 4}, {}, "recipe"), Error);
  EXPECT_THROW(check_automata({.max_symbols = 19}, {}, "recipe"), Error);
  EXPECT_THROW(check_automata({.min_states = 4, .max_edges = 5}, {}, "recipe"), Error);
  EXPECT_THROW(check_automata({}, {.min_words = 0}, "recipe"), Error);
}

}  // namespace
}  // namespace tessera
