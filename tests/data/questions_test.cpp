#include "data/questions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "data/colours.h"

namespace tessera {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<Concept> symbols() {
  return {{.id = "cat",
           .names = {{"en", "cat"}, {"de", "Katze"}},
           .keywords = {{"en", {"kitty", "animal"}}},
           .group = "animals-nature"},
          {.id = "dog", .names = {{"en", "dog"}}, .keywords = {{"en", {"animal"}}}, .group = "animals-nature"},
          {.id = "ox", .names = {{"en", "ox"}}, .keywords = {{"en", {"animal"}}}, .group = "animals-nature"},
          {.id = "pie", .names = {{"en", "pie"}}, .group = "food-drink"}};
}

Image filled(uint8_t red, uint8_t green, uint8_t blue) {
  Image image(8, 8, 4);
  for (int64_t y = 0; y < 8; ++y)
    for (int64_t x = 0; x < 8; ++x)
      image.at(y, x, 0) = red, image.at(y, x, 1) = green, image.at(y, x, 2) = blue, image.at(y, x, 3) = 255;
  return image;
}

TEST(Questions, NamesAnswerInTheirLanguageAndSynonymsAreWordsOfFewSymbols) {
  const auto concepts = symbols();
  const Questions questions(concepts);
  Random random(1);
  const auto english = questions.name(0, "en", random), german = questions.name(0, "de", random);
  ASSERT_TRUE(english && german);
  EXPECT_EQ(english->answer, "cat");
  EXPECT_THAT(english->synonyms, ElementsAre("kitty"));  // "animal" is what three of them are
  EXPECT_EQ(german->answer, "Katze");
  EXPECT_EQ(german->text, "What is this in German?");
  EXPECT_FALSE(questions.name(1, "de", random));
  EXPECT_THROW(Questions::naming("tlh"), Error);
}

TEST(Questions, YesMeansThatTheNameIsItsOwn) {
  const auto concepts = symbols();
  const Questions questions(concepts);
  int yes = 0;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Random random(seed);
    const auto question = questions.is_it(0, random);
    ASSERT_TRUE(question);
    EXPECT_EQ(question->answer == "yes", question->choices.front() == "cat") << question->text;
    EXPECT_THAT(question->text, HasSubstr(question->choices.front()));
    yes += question->answer == "yes";
  }
  EXPECT_GT(yes, 70);
  EXPECT_LT(yes, 130);
}

TEST(Questions, WhichListsTheAnswerOnceAmongOthers) {
  const auto concepts = symbols();
  const Questions questions(concepts);
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Random random(seed);
    const auto question = questions.which(3, random);
    ASSERT_TRUE(question);
    EXPECT_EQ(std::count(question->choices.begin(), question->choices.end(), "pie"), 1);
    EXPECT_GE(question->choices.size(), 2U);
    for (const auto& choice : question->choices) EXPECT_THAT(question->text, HasSubstr(choice));
  }
}

TEST(Questions, SeveralPutsAsManyCopiesAsItSays) {
  for (int64_t count = 1; count <= kMostOfSeveral; ++count) {
    Random random(7);
    const Image image = several(filled(255, 0, 0), count, random);
    int64_t drawn = 0;
    for (size_t i = 3; i < image.pixels.size(); i += 4) drawn += image.pixels[i] > 0;
    EXPECT_EQ(drawn, count * 16);
  }
}

TEST(Questions, AnswersAreTheSameButForCaseAndStops) {
  EXPECT_TRUE(same_answer("Red Apple.", "red apple"));
  EXPECT_FALSE(same_answer("apple", "red apple"));
}

TEST(Colours, TheElevenTermsHaveTheirTypicalPixels) {
  const std::vector<std::pair<std::array<uint8_t, 3>, const char*>> typical = {
      {{220, 20, 30}, "red"},  {{255, 140, 0}, "orange"},  {{255, 215, 40}, "yellow"}, {{40, 160, 60}, "green"},
      {{40, 90, 220}, "blue"}, {{140, 60, 200}, "purple"}, {{255, 150, 180}, "pink"},  {{120, 70, 30}, "brown"},
      {{10, 10, 10}, "black"}, {{250, 250, 250}, "white"}, {{130, 130, 130}, "grey"}};
  for (const auto& [rgb, name] : typical) EXPECT_EQ(colour_of(rgb[0], rgb[1], rgb[2]), name);
}

TEST(Colours, TheMainColourIsThatOfMostOfTheDrawing) {
  Image image = filled(220, 20, 30);
  EXPECT_EQ(main_colour(image), "red");
  for (int64_t x = 0; x < 8; ++x)
    for (int64_t y = 0; y < 5; ++y) image.at(y, x, 0) = image.at(y, x, 3) = 0;  // what is transparent does not count
  EXPECT_EQ(main_colour(image), "red");
  EXPECT_FALSE(main_colour(Image(8, 8, 4)));
  for (int64_t x = 0; x < 6; ++x)
    for (int64_t y = 0; y < 8; ++y) image.at(y, x, 2) = image.at(y, x, 3) = 255;
  EXPECT_NE(main_colour(image), "red");
}

}  // namespace
}  // namespace tessera
