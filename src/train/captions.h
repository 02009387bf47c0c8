#pragma once
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/random.h"
#include "data/pictures.h"
#include "language/text_encoder.h"

namespace tessera {

/// Text to the ids that a text tower reads, with the special tokens of the model.
using Tokenize = std::function<std::vector<int64_t>(const std::string&)>;

/// What captions are trained on.
struct CaptionOptions {
  std::map<std::string, double> languages = {{"en", 1}};  ///< how often each is drawn
  int64_t languages_per_step = 1;  ///< different languages in one step; each picture meets its name in each of them
  int64_t candidates = 256;  ///< texts per step and language: the names of the batch, filled up with others at random
  double keyword = 0;        ///< probability that a text is a keyword of the symbol instead of its name
  int64_t context = 24;      ///< the longest text, in tokens; what is longer is cut
};
TESSERA_OPTIONS(CaptionOptions, languages, languages_per_step, candidates, keyword, context)

/// The texts of one step: N texts for the B pictures. All texts of one language stand side by side.
struct Candidates {
  TextBatch texts;              ///< N x L
  Tensor match;                 ///< B x N, int8: 1 the text fits the picture, 0 it does not, -1 nobody can say
  Tensor concepts;              ///< N, int64: the concept whose name a text is; -1 for a keyword
  std::vector<int64_t> begins;  ///< first text of each language, then N
};

/// The names and keywords of concepts as token ids, and the draws of candidates from them.
///
/// Several pictures of a batch may show one symbol in different styles, and several symbols may share a name or
/// keyword; no such pair is a negative. A name is a negative of every picture with another name, also where it is a
/// keyword of that picture: "cat" is not the name of the cat face. A keyword is a positive of its symbol alone and
/// unknown (-1) for every other picture that lists it.
class Captions {
 public:
  /// @param concepts  those of the training pictures; the held-out ones must not be among them
  /// @throws Error when a language names no concept, when a number is out of range, or when a concept is held out
  Captions(const std::vector<Concept>& concepts, const CaptionOptions& options, const Tokenize& tokenize,
           int64_t padding_id);

  /// @param pictures  the concept of each picture of the batch
  Candidates draw(const std::vector<int64_t>& pictures, Random& random) const;

  const CaptionOptions& options() const { return options_; }

 private:
  struct Entry {
    int64_t name = -1;              ///< text; -1: the concept has no name in this language
    std::vector<int64_t> keywords;  ///< texts
  };
  struct Language {
    std::string tag;
    double weight;
    std::vector<Entry> entries;  ///< per concept
    std::vector<int64_t> named;  ///< concepts with a name
  };
  struct Drawn {
    int64_t text, concept_index;
    bool keyword;
  };

  int64_t add_text(const std::string& text, const Tokenize& tokenize);
  std::vector<size_t> draw_languages(Random& random) const;
  std::vector<Drawn> draw_texts(const Language& language, const std::vector<int64_t>& pictures, Random& random) const;
  int8_t relation(const Language& language, int64_t picture, const Drawn& drawn) const;

  CaptionOptions options_;
  int64_t padding_id_;
  std::map<std::string, int64_t> by_text_;
  std::vector<std::vector<int64_t>> tokens_;  // per text
  std::vector<Language> languages_;
};

}  // namespace tessera
