#include "data/questions.h"

#include <algorithm>

#include "core/error.h"
#include "data/colours.h"

namespace tessera {
namespace {

constexpr int64_t kFewOwners = 2;        // a keyword of more symbols than these is a topic and no synonym
using Forms = std::vector<std::string>;  // of a question; where one names something, it does so after the form

const Forms kName = {"What is this?",    "What is it?",          "What does the picture show?",
                     "What do you see?", "What is this called?", "Name it."};
const Forms kGroup = {"What kind of thing is this?", "Which group does it belong to?", "What kind is it?"};
const Forms kColour = {"What colour is it?", "Which colour is it?", "What is its main colour?", "What color is it?"};
const Forms kIsIt = {"Is this a", "Is it a", "Is this", "Does it show a"};
const Forms kWhich = {"Which of these is it:", "Which is it:", "Is it"};
const Forms kHowMany = {"How many are there?", "How many do you see?", "How many of them are in the picture?"};
constexpr const char* kNumbers[] = {"one", "two", "three", "four"};

const std::map<std::string, std::string>& language_names() {
  static const std::map<std::string, std::string> names = {
      {"en", "English"},    {"de", "German"},     {"fr", "French"},   {"es", "Spanish"}, {"it", "Italian"},
      {"pt", "Portuguese"}, {"nl", "Dutch"},      {"pl", "Polish"},   {"ru", "Russian"}, {"uk", "Ukrainian"},
      {"cs", "Czech"},      {"sv", "Swedish"},    {"da", "Danish"},   {"tr", "Turkish"}, {"el", "Greek"},
      {"ar", "Arabic"},     {"hi", "Hindi"},      {"ja", "Japanese"}, {"ko", "Korean"},  {"zh", "Chinese"},
      {"vi", "Vietnamese"}, {"id", "Indonesian"}, {"fi", "Finnish"},  {"he", "Hebrew"},  {"th", "Thai"},
      {"bn", "Bengali"}};
  return names;
}

const std::string& one_of(const std::vector<std::string>& choices, Random& random) {
  return choices[random.below(choices.size())];
}

/// A form and the name that it asks about: "Is this an apple" after "Is this a".
std::string asked_of(const std::string& form, const std::string& name) {
  const bool vowel = !name.empty() && std::string("aeiouAEIOU").find(name[0]) != std::string::npos;
  return form + (form.ends_with(" a") && vowel ? "n " : " ") + name;
}

/// Lower case of ASCII letters alone: other scripts compare as they are.
std::string folded(const std::string& text) {
  const char* const around = " \t\n.!";
  const size_t begin = text.find_first_not_of(around), end = text.find_last_not_of(around);
  if (begin == std::string::npos) return "";
  std::string result = text.substr(begin, end - begin + 1);
  for (char& c : result)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return result;
}

}  // namespace

bool same_answer(const std::string& a, const std::string& b) { return folded(a) == folded(b); }

Questions::Questions(const std::vector<Concept>& concepts) : concepts_(concepts) {
  for (size_t i = 0; i < concepts.size(); ++i) {
    for (const auto& [language, words] : concepts[i].keywords)
      for (const auto& word : words) ++owners_[language][folded(word)];
    if (!english(static_cast<int64_t>(i)) || concepts[i].group.empty()) continue;
    named_.push_back(static_cast<int64_t>(i));
    groups_[concepts[i].group].push_back(static_cast<int64_t>(i));
  }
}

const std::string* Questions::english(int64_t index) const {
  const auto& names = concepts_[static_cast<size_t>(index)].names;
  const auto name = names.find("en");
  return name == names.end() ? nullptr : &name->second;
}

/// True when the name, or a part of what it is known by, is that of the concept.
bool Questions::fits(int64_t index, const std::string& name) const {
  const Concept& item = concepts_[static_cast<size_t>(index)];
  if (same_answer(item.names.at("en"), name)) return true;
  const auto words = item.keywords.find("en");
  return words != item.keywords.end() && std::any_of(words->second.begin(), words->second.end(),
                                                     [&](const auto& word) { return same_answer(word, name); });
}

/// Another concept with another name; -1 where none was found.
int64_t Questions::another(int64_t index, bool same_group, Random& random) const {
  const std::string& group = concepts_[static_cast<size_t>(index)].group;
  const auto near = groups_.find(group);
  const auto& choices = same_group && near != groups_.end() ? near->second : named_;
  for (int attempt = 0; attempt < 16 && !choices.empty(); ++attempt) {
    const int64_t other = choices[random.below(choices.size())];
    if (!fits(index, *english(other)) && !fits(other, *english(index))) return other;
  }
  return -1;
}

std::vector<std::string> Questions::without_names() {
  std::vector<std::string> questions;
  for (const Forms& forms : {kName, kGroup, kColour, kHowMany})
    questions.insert(questions.end(), forms.begin(), forms.end());
  for (const std::string& form : kIsIt)
    for (const char* rest : {"?", " an a?"}) questions.push_back(form + rest);
  for (const std::string& form : kWhich) questions.push_back(form + " a, a or a?");
  for (const auto& [tag, language] : language_names()) questions.push_back(naming(tag));
  return questions;
}

std::string Questions::group_name(const std::string& group) {
  const size_t dash = group.find('-');
  return dash == std::string::npos ? group : group.substr(0, dash) + " and " + group.substr(dash + 1);
}

const std::string& Questions::language_name(const std::string& tag) {
  const auto name = language_names().find(tag);
  if (name == language_names().end()) {
    std::string known;
    for (const auto& [other, title] : language_names()) known += (known.empty() ? "" : ", ") + other;
    throw Error("is no language that captions are written in", tag, "choose among " + known);
  }
  return name->second;
}

std::optional<Question> Questions::name(int64_t index, const std::string& language, Random& random) const {
  const Concept& item = concepts_[static_cast<size_t>(index)];
  const auto name = item.names.find(language);
  if (name == item.names.end()) return {};
  Question question{.kind = "name", .language = language, .text = naming(language), .answer = name->second};
  if (language == "en" && random.chance(0.7)) question.text = one_of(kName, random);
  if (const auto words = item.keywords.find(language); words != item.keywords.end())
    for (const auto& word : words->second)
      if (owners_.at(language).at(folded(word)) <= kFewOwners) question.synonyms.push_back(word);
  return question;
}

std::optional<Question> Questions::group(int64_t index, Random& random) const {
  const std::string& group = concepts_[static_cast<size_t>(index)].group;
  if (group.empty()) return {};
  return Question{.kind = "group", .language = "en", .text = one_of(kGroup, random), .answer = group_name(group)};
}

std::optional<Question> Questions::colour(const Image& premultiplied, Random& random) const {
  const auto colour = main_colour(premultiplied);
  if (!colour) return {};
  return Question{.kind = "colour", .language = "en", .text = one_of(kColour, random), .answer = *colour};
}

std::optional<Question> Questions::is_it(int64_t index, Random& random) const {
  if (!english(index)) return {};
  const bool yes = random.chance(0.5);
  const int64_t shown = yes ? index : another(index, random.chance(0.5), random);
  if (shown < 0) return {};
  const std::string name = *english(shown);
  return Question{.kind = "is-it",
                  .language = "en",
                  .text = asked_of(one_of(kIsIt, random), name) + "?",
                  .answer = yes ? "yes" : "no",
                  .choices = {name}};
}

std::optional<Question> Questions::which(int64_t index, Random& random) const {
  if (!english(index)) return {};
  std::vector<std::string> names = {*english(index)};
  const size_t count = 2 + random.below(3);
  for (int attempt = 0; attempt < 8 && names.size() < count; ++attempt) {
    const int64_t other = another(index, random.chance(0.5), random);
    if (other >= 0 && std::find(names.begin(), names.end(), *english(other)) == names.end())
      names.push_back(*english(other));
  }
  if (names.size() < 2) return {};
  std::string listed;
  const auto order = random.permutation(static_cast<int64_t>(names.size()));
  for (size_t i = 0; i < order.size(); ++i)
    listed += (i == 0 ? "" : i + 1 == order.size() ? " or " : ", ") + names[static_cast<size_t>(order[i])];
  return Question{.kind = "which",
                  .language = "en",
                  .text = one_of(kWhich, random) + " " + listed + "?",
                  .answer = names[0],
                  .choices = names};
}

Question Questions::how_many(int64_t count, Random& random) const {
  return {.kind = "how-many", .language = "en", .text = one_of(kHowMany, random), .answer = kNumbers[count - 1]};
}

Image several(const Image& drawing, int64_t count, Random& random) {
  const int64_t rows = drawing.height / 2, columns = drawing.width / 2;  // of a copy
  Image result(drawing.height, drawing.width, 4);
  const auto places = random.permutation(kMostOfSeveral);
  for (int64_t copy = 0; copy < count; ++copy) {
    const int64_t place = places[static_cast<size_t>(copy)];
    const int64_t top = place / 2 * rows, left = place % 2 * columns;
    for (int64_t y = 0; y < rows; ++y)
      for (int64_t x = 0; x < columns; ++x)
        for (int64_t c = 0; c < 4; ++c) {
          const int sum = drawing.at(2 * y, 2 * x, c) + drawing.at(2 * y, 2 * x + 1, c) +
                          drawing.at(2 * y + 1, 2 * x, c) + drawing.at(2 * y + 1, 2 * x + 1, c);
          result.at(top + y, left + x, c) = static_cast<uint8_t>((sum + 2) / 4);
        }
  }
  return result;
}

}  // namespace tessera
