#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/options.h"
#include "core/random.h"

namespace tessera {

/// The data of in-context language learning (Akyürek et al., 2024): random regular languages, and texts of their words.

/// A deterministic automaton: for each state, where its symbols lead. The first state is 0, and every state accepts.
using Transitions = std::vector<std::map<char, int64_t>>;

struct AutomatonOptions {
  int64_t min_states = 4, max_states = 12;    ///< before they are merged and trimmed
  int64_t min_symbols = 4, max_symbols = 18;  ///< of its alphabet, which is drawn from 'a' ... 'r'
  int64_t max_edges = 3;                      ///< that leave a state; at least one does
};
TESSERA_OPTIONS(AutomatonOptions, min_states, max_states, min_symbols, max_symbols, max_edges)

struct AutomatonTextOptions {
  int64_t min_words = 10, max_words = 20;
  int64_t longest = 16;  ///< words have 1 to so many symbols
};
TESSERA_OPTIONS(AutomatonTextOptions, min_words, max_words, longest)

/// @throws Error naming the value that cannot be
void check_automata(const AutomatonOptions& automaton, const AutomatonTextOptions& text, const std::string& where);

/// An automaton as the paper draws it: from each state so many different symbols lead to as many different other
/// states, all uniform; then it is made minimal, so that it may have fewer states.
Transitions random_automaton(const AutomatonOptions& options, Random& random);

/// The smallest automaton of the same language: without the states that no word reaches, and with one in place of all
/// that the same words can follow. States are numbered in the order in which words reach them, breadth first.
Transitions minimal(const Transitions& automaton);

/// A uniform random walk of this many steps from the first state, shorter where a state has no way out.
std::string random_word(const Transitions& automaton, int64_t length, Random& random);

/// Words joined by '|'; their number and their lengths are uniform.
std::string random_text(const Transitions& automaton, const AutomatonTextOptions& options, Random& random);

}  // namespace tessera
