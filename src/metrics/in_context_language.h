#pragma once
#include <torch/types.h>

#include <map>
#include <string>
#include <vector>

namespace tessera {

/// The measures of in-context language learning (Akyürek et al., 2024): how well next symbols are predicted in a text
/// of words of an unknown regular language, joined by '|'. Rows of a result speak of the symbol after the first i + 1
/// characters of the text. Ids: '.' is 0, 'a' ... are 1 ..., and '|' is the last of the vocabulary.

/// A deterministic automaton: for each state, where its symbols lead. The first state is 0, and a word is accepted that
/// every symbol has a transition for.
class Automaton {
 public:
  explicit Automaton(std::vector<std::map<char, int64_t>> transitions);
  /// The state before the word and after each of its symbols, up to the first without a transition.
  /// @throws Error where a transition leads to no state
  std::vector<int64_t> trace(const std::string& word) const;
  bool accepts(const std::string& word) const { return trace(word).size() == word.size() + 1; }
  /// The uniform distribution over the symbols that may follow a word: vocabulary, double.
  /// @throws Error for a word that is not accepted
  torch::Tensor next(const std::string& word, int64_t vocabulary) const;

 private:
  std::vector<std::map<char, int64_t>> transitions_;
};

/// What may follow in each place of a text: characters x vocabulary, double.
torch::Tensor automaton_probabilities(const Automaton& automaton, const std::string& text, int64_t vocabulary);

/// Which of the predicted symbols continue their word legally, aligned with the text: 1 or 0, and 2 for separators.
/// prediction[i] of the first word follows its symbol i; of the others, it stands in the place of symbol i.
std::vector<int64_t> legal_predictions(const Automaton& automaton, const std::string& text,
                                       const std::string& prediction);

/// The mean L1 distance between softmax(logits) and the automaton's probabilities, over the places 1 ... length - 3 of
/// the text that are no separator. As in the official code, place t compares row t - 1 of the logits with row t of the
/// probabilities.
/// @param logits  at least as many rows as the text has characters x vocabulary
double distance_to_automaton(const torch::Tensor& logits, const Automaton& automaton, const std::string& text);

/// The id of a character in such texts. @throws Error for a character outside the vocabulary
int64_t symbol_id(char symbol, int64_t vocabulary);

/// The rows that speak of a symbol: those whose next character is there and is no separator. int64
torch::Tensor predicted_places(const std::string& text);

struct InContextScore {
  double legal = 0;     ///< share of the places at which the likeliest symbol is one that may follow
  double distance = 0;  ///< mean L1 distance of the distributions, from 0 to 2
};

/// How well next symbols are predicted: each row is compared with the row that speaks of the same place, which the
/// official distance_to_automaton() does not.
/// @param given   characters x vocabulary, probabilities
/// @param wanted  automaton_probabilities()
/// @param places  predicted_places()
/// @throws Error where there is no place
InContextScore score_in_context(const torch::Tensor& given, const torch::Tensor& wanted, const torch::Tensor& places);

struct NgramOptions {
  int64_t order = 3;     ///< the longest n-gram
  bool back_off = true;  ///< what was not seen shares the mass that is left over by shorter n-grams (else none)
  bool add_one = false;  ///< counts one more of every symbol seen so far
  bool uniform = false;  ///< symbols whose probabilities come from one order share them alike
};

/// What an n-gram model that has read the text so far predicts: characters x vocabulary, double. It knows the symbols
/// that it has read.
/// @throws Error where back-off has no mass to give away
torch::Tensor ngram_probabilities(const std::string& text, int64_t vocabulary, const NgramOptions& options);

}  // namespace tessera
