#include "metrics/in_context_language.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace tessera {
namespace {

TEST(NgramModel, EveryRowIsADistributionOverWhatWasRead) {
  const torch::Tensor probabilities = ngram_probabilities("abcab|abca|bcab|ab", 8, {.order = 3});
  EXPECT_LT((probabilities.sum(1) - 1).abs().max().item<double>(), 1e-9);
  EXPECT_EQ(probabilities[1][3].item<double>(), 0.0);                   // no c was read yet
  EXPECT_EQ(probabilities.select(1, 7).abs().max().item<double>(), 0);  // separators are not predicted
}

TEST(NgramModel, RefusesSymbolsOutsideTheVocabulary) {
  EXPECT_THROW(ngram_probabilities("abz", 8, {}), Error);
  EXPECT_THROW(ngram_probabilities("", 8, {}), Error);
}

using Transitions = std::vector<std::map<char, int64_t>>;

TEST(Automaton, RefusesTransitionsToNowhereAndWordsThatItDoesNotAccept) {
  Transitions transitions(2);
  transitions[0]['a'] = 1;
  transitions[1]['b'] = 0;
  const Automaton automaton(transitions);
  EXPECT_TRUE(automaton.accepts("abab"));
  EXPECT_FALSE(automaton.accepts("aa"));
  EXPECT_THROW(automaton.next("aa", 8), Error);
  transitions[1]['b'] = 3;
  EXPECT_THROW(Automaton{transitions}, Error);
}

}  // namespace
}  // namespace tessera
