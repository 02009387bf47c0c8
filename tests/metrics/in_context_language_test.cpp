#include "metrics/in_context_language.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace tessera {
namespace {

using Transitions = std::vector<std::map<char, int64_t>>;

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

TEST(InContextScore, ComparesEveryPredictedSymbolWithItsOwnPlace) {
  Transitions transitions(2);
  transitions[0]['a'] = 1, transitions[0]['b'] = 1;
  transitions[1]['c'] = 0;
  const std::string text = "ac|bc";
  const torch::Tensor wanted = automaton_probabilities(Automaton(transitions), text, 6);
  const torch::Tensor places = predicted_places(text);
  EXPECT_TRUE(places.equal(torch::tensor({0, 2, 3}, torch::kInt64)));  // c after a, a or b after |, c after b
  const InContextScore exact = score_in_context(wanted, wanted, places);
  EXPECT_EQ(exact.legal, 1);
  EXPECT_EQ(exact.distance, 0);

  torch::Tensor given = wanted.clone();
  given[2].zero_(), given[2][1] = 1;  // sure of a, where a and b are alike
  given[3].zero_(), given[3][1] = 1;  // and of a, where c must come
  given[1].zero_();                   // before a separator: does not count
  const InContextScore score = score_in_context(given, wanted, places);
  EXPECT_NEAR(score.legal, 2.0 / 3, 1e-12);
  EXPECT_NEAR(score.distance, (0 + 1 + 2) / 3.0, 1e-12);
  EXPECT_THROW(score_in_context(given, wanted, predicted_places("a|")), Error);
}

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
