#include "tasks/evaluate_icons.h"

#include <gmock/gmock.h>

#include <cmath>

#include "core/files.h"
#include "data/archive.h"
#include "support/scratch.h"
#include "tasks/tiny_models.h"

namespace tessera {
namespace {

using ::testing::AllOf;
using ::testing::DoubleEq;
using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;

constexpr size_t kSeen = 12, kSymbols = 14;

/// Fourteen symbols of one colour each: twelve in the training style, all in a test style. A model of colours knows the
/// colour of every name, so that it names each picture right.
class EvaluateIcons : public ::testing::Test {
 protected:
  EvaluateIcons() {
    std::string names;
    std::vector<TarMember> train, unseen, test;
    for (size_t i = 0; i < kSymbols; ++i) {
      const Json captions = i < 6 ? Json{{"en", english(i)}, {"de", german(i)}} : Json{{"en", english(i)}};
      names += Json{{"id", english(i)}, {"names", captions}, {"seen", i < kSeen}}.dump() + "\n";
      add(i < kSeen ? train : unseen, i, "flat", i < kSeen ? "train" : "unseen-symbols", captions);
      add(test, i, "outline", "unseen-style", captions);
      words_[english(i)] = words_[german(i)] = colour(i);
    }
    // What must not count: a skin tone, and a named icon, which is no symbol.
    names += Json{{"names", {{"en", "tone"}}}, {"skin_tone", true}}.dump() + "\n";
    add(test, 0, "outline", "unseen-style", {{"en", english(1)}}, true);
    add(icons_, 3, "named", "train", {{"en", english(0)}});
    write_file(data_ / "names.jsonl", names);
    write_file(data_ / "train-emoji-00000.tar", make_tar(train));
    write_file(data_ / "train-icons-00000.tar", make_tar(icons_));
    write_file(data_ / "unseen-symbols-00000.tar", make_tar(unseen));
    write_file(data_ / "outline-00000.tar", make_tar(test));
  }

  static std::string english(size_t i) { return "name" + std::to_string(i); }
  static std::string german(size_t i) { return "wort" + std::to_string(i); }
  /// Around the circle of hues, so that no two point into one direction.
  static testing::Rgb colour(size_t i) {
    testing::Rgb rgb{};
    for (size_t c = 0; c < 3; ++c) {
      const double turn = 2 * M_PI * (static_cast<double>(i) / kSymbols - static_cast<double>(c) / 3);
      rgb[c] = static_cast<float>(std::round(255 * (0.5 + 0.5 * std::cos(turn))) / 255);
    }
    return rgb;
  }
  static void add(std::vector<TarMember>& members, size_t i, const std::string& style, const std::string& split,
                  const Json& captions, bool skin_tone = false) {
    std::vector<uint8_t> pixel;
    for (const float value : colour(i)) pixel.push_back(static_cast<uint8_t>(std::lround(255 * value)));
    const std::string key = style + "-" + std::to_string(members.size());
    members.push_back({key + ".png", testing::png_of(pixel)});
    const Json json = {{"captions", captions}, {"style", style},         {"split", split},
                       {"seen", i < kSeen},    {"skin_tone", skin_tone}, {"id", english(i)}};
    members.push_back({key + ".json", json.dump()});
  }

  Model model() const { return testing::colour_model(scratch_ / "model", words_); }
  std::vector<IconRow> evaluate(std::vector<std::string> languages = {"de"}) const {
    return evaluate_icons(model(), {.data = data_, .languages = std::move(languages)});
  }
  static const IconRow& row_of(const std::vector<IconRow>& rows, const std::string& method, const std::string& style,
                               bool seen) {
    for (const auto& row : rows)
      if (row.method == method && row.style == style && row.seen == seen) return row;
    throw std::out_of_range(method + " " + style);
  }

  testing::Scratch scratch_;
  std::filesystem::path data_ = scratch_ / "data";
  std::map<std::string, testing::Rgb> words_;
  std::vector<TarMember> icons_;
};

TEST_F(EvaluateIcons, EveryMethodAnswersOnEveryTestSetSeenFirst) {
  std::vector<std::string> found;
  for (const auto& row : evaluate())
    found.push_back(row.method + ", " + row.style + (row.seen ? ", seen, " : ", unseen, ") +
                    std::to_string(row.pictures) + " of " + std::to_string(row.candidates));
  EXPECT_THAT(found, ElementsAre("chance, outline, seen, 12 of 14", "pixels, outline, seen, 12 of 14",
                                 "hog, outline, seen, 12 of 14", "model, outline, seen, 12 of 14",
                                 "chance, outline, unseen, 2 of 14", "pixels, outline, unseen, 2 of 14",
                                 "hog, outline, unseen, 2 of 14", "model, outline, unseen, 2 of 14",
                                 "chance, training styles, unseen, 2 of 14", "pixels, training styles, unseen, 2 of 14",
                                 "hog, training styles, unseen, 2 of 14", "model, training styles, unseen, 2 of 14"));
}

TEST_F(EvaluateIcons, PerfectFeaturesGiveOne) {
  for (const IconRow& row : evaluate()) {
    if (row.method != "model") continue;
    EXPECT_EQ(row.top1, 1) << row.style << row.seen;
    EXPECT_EQ(row.top5, 1);
    EXPECT_EQ(row.recall10.at("en"), 1);
    EXPECT_EQ(row.recall10.at("de"), row.seen ? 1 : 0) << "no unseen symbol has a German name";
  }
}

TEST_F(EvaluateIcons, AWrongNameCostsItsShare) {
  std::swap(words_[english(0)], words_[english(7)]);  // opposite hues: both are last among the candidates
  const auto rows = evaluate();
  EXPECT_DOUBLE_EQ(row_of(rows, "model", "outline", true).top1, 10.0 / 12);
  EXPECT_DOUBLE_EQ(row_of(rows, "model", "outline", true).top5, 10.0 / 12);
  EXPECT_DOUBLE_EQ(row_of(rows, "model", "outline", true).recall10.at("en"), 10.0 / 12);
  EXPECT_EQ(row_of(rows, "model", "outline", true).recall10.at("de"), 1);
  EXPECT_EQ(row_of(rows, "model", "outline", false).top1, 1);
}

TEST_F(EvaluateIcons, ChanceIsByHand) {
  const auto rows = evaluate();
  const IconRow& seen = row_of(rows, "chance", "outline", true);
  EXPECT_DOUBLE_EQ(seen.top1, 1.0 / 14);
  EXPECT_DOUBLE_EQ(seen.top5, 5.0 / 14);
  EXPECT_THAT(seen.recall10,
              ElementsAre(::testing::Pair("de", DoubleEq(10.0 / 12)), ::testing::Pair("en", DoubleEq(10.0 / 12))));
  EXPECT_EQ(row_of(rows, "chance", "training styles", false).recall10.at("en"), 1) << "two pictures, ten may be wrong";
}

TEST_F(EvaluateIcons, NeighboursKnowTheSymbolsOfTraining) {
  const auto rows = evaluate();
  const IconRow& pixels = row_of(rows, "pixels", "outline", true);
  EXPECT_EQ(pixels.top1, 1) << "the same colours";
  EXPECT_TRUE(pixels.recall10.empty()) << "it reads no text";
  EXPECT_EQ(row_of(rows, "pixels", "outline", false).top1, 0) << "no training picture has these names";
  // Without edges every histogram is zero; of equal distances the first class counts.
  EXPECT_DOUBLE_EQ(row_of(rows, "hog", "outline", true).top1, 1.0 / 12);
  EXPECT_DOUBLE_EQ(row_of(rows, "hog", "outline", true).top5, 5.0 / 12);
}

TEST_F(EvaluateIcons, EnglishIsAlwaysIn) {
  EXPECT_EQ(row_of(evaluate({"de"}), "model", "outline", true).recall10.count("en"), 1U);
  EXPECT_EQ(row_of(evaluate({}), "model", "outline", true).recall10.size(), 1U) << "trained on English alone";
}

TEST_F(EvaluateIcons, MissingOrDamagedDataIsNamed) {
  const auto error = [&] { return error_of([&] { evaluate(); }); };
  const std::string names = read_file(data_ / "names.jsonl");
  for (const char* line : {"{", "[]", "3", "{\"names\": {\"de\": \"wort\"}}", "{\"names\": {\"en\": 3}}",
                           "{\"names\": 3}", "{\"skin_tone\": \"no\"}"}) {
    write_file(data_ / "names.jsonl", names + line + "\n");
    EXPECT_THAT(error(), HasSubstr("names.jsonl:16")) << line;
  }
  write_file(data_ / "names.jsonl", names);
  const std::string train = read_file(data_ / "train-emoji-00000.tar");
  write_file(data_ / "train-emoji-00000.tar", make_tar(icons_).substr(0, 1200));
  EXPECT_THAT(error(), HasSubstr("train-emoji-00000.tar"));
  std::vector<TarMember> nameless;
  add(nameless, 0, "flat", "train", {{"en", "nobody"}});
  write_file(data_ / "train-emoji-00000.tar", make_tar(nameless));
  EXPECT_THAT(error(), AllOf(HasSubstr("no training picture"), HasSubstr("tessera data icons")));
  std::filesystem::remove(data_ / "train-emoji-00000.tar");
  EXPECT_THAT(error(), HasSubstr("data: holds no shards"));
  for (const char* test : {"outline-00000.tar", "unseen-symbols-00000.tar"})
    write_file(data_ / test, make_tar(nameless));
  EXPECT_THAT(error(), AllOf(HasSubstr("no test picture"), HasSubstr("tessera data icons")));
  std::filesystem::remove(data_ / "names.jsonl");
  EXPECT_THAT(error(), AllOf(HasSubstr("names.jsonl: cannot be opened"), HasSubstr("tessera data icons")));
}

TEST_F(EvaluateIcons, AModelThatReadsNoTextIsRefused) {
  const Model classifier = testing::classifier_model(scratch_ / "classifier", {"cat"});
  EXPECT_THAT(error_of([&] { evaluate_icons(classifier, {.data = data_}); }), HasSubstr("cannot turn texts"));
}

TEST(TrainedLanguages, AreThoseOfTheRecipeAndEnglishFirst) {
  const testing::Scratch scratch;
  const Model model = testing::colour_model(scratch / "model");
  EXPECT_THAT(trained_languages(model), ElementsAre("en"));
  write_file(scratch / "model/recipe.json", R"({"captions": {"languages": {"de": 1, "en": 2, "zh": 0.5}}})");
  EXPECT_THAT(trained_languages(model), ElementsAre("en", "de", "zh"));
  write_file(scratch / "model/recipe.json", "{}");
  EXPECT_THAT(trained_languages(model), ElementsAre("en"));
}

TEST(MeanOfOtherLanguages, LeavesEnglishOut) {
  IconRow row;
  EXPECT_EQ(mean_of_other_languages(row), -1);
  row.recall10 = {{"en", 1}};
  EXPECT_EQ(mean_of_other_languages(row), -1);
  row.recall10 = {{"en", 1}, {"de", 0.25}, {"fr", 0.5}};
  EXPECT_EQ(mean_of_other_languages(row), 0.375);
}

}  // namespace
}  // namespace tessera
