#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/random.h"
#include "data/pictures.h"

namespace tessera {

/// A question about one picture.
struct Question {
  std::string kind;      ///< name, group, colour, is-it, which, how-many
  std::string language;  ///< of the answer
  std::string text, answer;
  std::vector<std::string> choices = {};   ///< names that the text mentions
  std::vector<std::string> synonyms = {};  ///< right as well: what few other symbols are called (names alone)
};

/// Questions that the annotations of symbols and the pixels of their pictures answer. Questions are in English; names
/// are asked for in any language of the captions.
class Questions {
 public:
  /// @param concepts  must outlive it
  explicit Questions(const std::vector<Concept>& concepts);

  /// What it is called; none without a name in this language.
  std::optional<Question> name(int64_t index, const std::string& language, Random& random) const;
  /// Which group of symbols it belongs to ("food and drink"); none for an icon.
  std::optional<Question> group(int64_t index, Random& random) const;
  /// Its main colour, where it has one: see main_colour().
  std::optional<Question> colour(const Image& premultiplied, Random& random) const;
  /// Is it a ...? Yes and no in equal parts; half of the noes name a symbol of the same group.
  std::optional<Question> is_it(int64_t index, Random& random) const;
  /// Which of two to four names.
  std::optional<Question> which(int64_t index, Random& random) const;
  /// How many there are; see several().
  Question how_many(int64_t count, Random& random) const;

  /// Questions with "a" in place of every name, whose words are those that ask.
  static std::vector<std::string> without_names();
  /// How a group is called in an answer.
  static std::string group_name(const std::string& group);
  /// The English name of a language by its tag. @throws Error for one without
  static const std::string& language_name(const std::string& tag);
  /// The question that captions in a language are trained with. @throws Error as above
  static std::string naming(const std::string& tag) { return "What is this in " + language_name(tag) + "?"; }

 private:
  const std::string* english(int64_t index) const;
  bool fits(int64_t index, const std::string& name) const;
  int64_t another(int64_t index, bool same_group, Random& random) const;

  const std::vector<Concept>& concepts_;
  std::vector<int64_t> named_;                                    // concepts with an English name
  std::map<std::string, std::vector<int64_t>> groups_;            // of them, those of a group
  std::map<std::string, std::map<std::string, int64_t>> owners_;  // language -> keyword -> how many symbols have it
};

/// One to four copies of a drawing, each a quarter of the picture, in places that are drawn. RGBA, premultiplied.
Image several(const Image& premultiplied, int64_t count, Random& random);
inline constexpr int64_t kMostOfSeveral = 4;

/// Two answers are the same but for case and outer spaces and stops.
bool same_answer(const std::string& a, const std::string& b);

}  // namespace tessera
