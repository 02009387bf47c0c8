#pragma once
#include "data/automata.h"

namespace tessera {

/// What a language model of in-context language learning is trained and tested on.
struct InContextOptions {
  int64_t languages = 2000;  ///< random automata to learn from; a text of each has new words in every pass
  int64_t tests = 200;       ///< other automata, the same for every seed of a recipe, with one text each
  AutomatonOptions automaton;
  AutomatonTextOptions text;
  std::vector<int64_t> ngrams = {2, 3, 4};  ///< orders of the n-gram learners that a run is compared with
};
TESSERA_OPTIONS(InContextOptions, languages, tests, automaton, text, ngrams)

/// @throws Error naming the value that cannot be
void check_in_context(const InContextOptions& options, const std::string& where);

}  // namespace tessera
