#include "tasks/classify.h"

#include <gmock/gmock.h>

#include <cmath>

#include "encoders/classifier.h"
#include "layers/promises.h"
#include "support/scratch.h"
#include "tasks/tiny_models.h"

namespace tessera {
namespace {

using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using ::testing::Pair;

class Classify : public ::testing::Test {
 protected:
  Classify() : model_(testing::colour_model(scratch_ / "colours")) {}

  std::vector<double> scores(const ClassifyOptions& options, const testing::Rgb& colour) const {
    const Tensor row = PictureClassifier(model_, options).probabilities(picture(colour))[0];
    std::vector<double> list;
    for (int64_t i = 0; i < row.numel(); ++i) list.push_back(row[i].item<double>());
    return list;
  }
  static Tensor picture(const testing::Rgb& colour) {
    return torch::tensor({colour[0], colour[1], colour[2]}).view({1, 3, 1, 1}).expand({1, 3, 8, 8});
  }

  testing::Scratch scratch_;
  Model model_;
};

/// Softmax of cosines times ten, the model's temperature.
std::vector<double> by_hand(const std::vector<double>& cosines) {
  std::vector<double> shares;
  double sum = 0;
  for (const double cosine : cosines) sum += std::exp(10 * cosine);
  for (const double cosine : cosines) shares.push_back(std::exp(10 * cosine) / sum);
  return shares;
}

TEST_F(Classify, ProbabilitiesAreTheSoftmaxOfScaledCosines) {
  const std::vector<double> found = scores({.labels = {"red", "blue", "white"}}, {0.2F, 0, 0});
  const std::vector<double> wanted = by_hand({1, 0, 1 / std::sqrt(3.0)});
  ASSERT_EQ(found.size(), 3U);
  for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(found[i], wanted[i], 1e-5) << i;
}

TEST_F(Classify, TheVectorsOfTemplatesAreAveraged) {
  // "red" is (1, 0, 0); "white white red" is (1, 2/3, 2/3), of length one (3, 2, 2) / sqrt(17): both count the same.
  const double length = std::sqrt(17.0), x = 1 + 3 / length, y = 2 / length;
  const double red = x / std::sqrt(x * x + 2 * y * y);
  // "green" and (2/3, 1, 2/3)
  const double green = y / std::sqrt(x * x + 2 * y * y);
  const auto found = scores({.labels = {"red", "green"}, .templates = {"{}", "white white {}"}}, {1, 0, 0});
  const auto wanted = by_hand({red, green});
  EXPECT_NEAR(found[0], wanted[0], 1e-5);
  EXPECT_NEAR(found[1], wanted[1], 1e-5);
}

TEST_F(Classify, OfEqualLabelsTheFirstIsBest) {
  for (const auto& labels : {std::vector<std::string>{"blue", "red", "scarlet"}, {"blue", "scarlet", "red"}}) {
    const PictureClassifier classifier(model_, {.labels = labels});
    const auto best = classifier.best(classifier.probabilities(picture({1, 0, 0}))[0], 2);
    ASSERT_EQ(best.size(), 2U);
    EXPECT_EQ(best[0].label, labels[1]);
    EXPECT_EQ(best[1].label, labels[2]);
    EXPECT_EQ(best[0].score, best[1].score);
  }
}

TEST_F(Classify, MoreThanThereAreIsAll) {
  const PictureClassifier classifier(model_, {.labels = {"red", "blue"}});
  const Tensor row = classifier.probabilities(picture({0, 0, 1}))[0];
  EXPECT_EQ(classifier.best(row, 5).size(), 2U);
  EXPECT_EQ(classifier.best(row, 5)[0].label, "blue");
  EXPECT_EQ(classifier.best(row, 0).size(), 0U);
}

TEST_F(Classify, ADualEncoderNeedsLabels) {
  EXPECT_THAT(error_of([&] { PictureClassifier(model_, {}); }), HasSubstr("give --labels or --labels-file"));
  EXPECT_THAT(error_of([&] { PictureClassifier(model_, {.labels = {"red"}, .templates = {"a picture"}}); }),
              HasSubstr("has no place for the label"));
  const ClassifyOptions endless{.labels = {"red", "red red red red red red red red red"}};
  EXPECT_THAT(error_of([&] { PictureClassifier(model_, endless); }), HasSubstr("is 9 tokens long"));
  ClassifyOptions cut = endless;
  cut.text.truncate = true;
  EXPECT_NO_THROW(PictureClassifier(model_, cut));
}

TEST_F(Classify, AClassifierChoosesAmongItsOwnClasses) {
  const Model model = testing::classifier_model(scratch_ / "classifier", {"cat", "dog", "fish"});
  const PictureClassifier classifier(model, {});
  EXPECT_THAT(classifier.labels(), ElementsAre("cat", "dog", "fish"));
  const Tensor pixels = torch::randn({2, 3, 16, 16});
  const torch::NoGradGuard no_gradient;
  const Tensor wanted = model.as<ImageClassifier>("test").forward(pixels).softmax(-1);  // 2 x 3
  const Tensor found = classifier.probabilities(pixels);
  EXPECT_LT(testing::distance(found, wanted), 1e-6);
  EXPECT_EQ(classifier.best(found[0], 1)[0].label,
            classifier.labels()[static_cast<size_t>(wanted[0].argmax().item<int64_t>())]);
  EXPECT_THAT(error_of([&] { PictureClassifier(model, {.labels = {"cat"}}); }),
              HasSubstr("chooses among its own classes"));
}

TEST_F(Classify, ClassesWithoutNamesAreCalledByTheirNumbers) {
  const PictureClassifier classifier(testing::classifier_model(scratch_ / "classifier", {}), {});
  const auto best = classifier.best(torch::tensor({0.25F, 0.75F}), 2);
  ASSERT_EQ(best.size(), 2U);
  EXPECT_EQ(best[0].label, "class 1");
  EXPECT_EQ(best[1].label, "class 0");
}

TEST_F(Classify, AProbabilityThatIsNotANumberIsAnError) {
  const PictureClassifier classifier(model_, {.labels = {"red", "blue"}});
  EXPECT_THAT(error_of([&] { classifier.probabilities(picture({NAN, 0, 0})); }), HasSubstr("NaN"));
}

TEST(BestOf, IsBestFirstAndOfEqualOnesTheFirst) {
  EXPECT_THAT(best_of(torch::tensor({1.0F, 3.0F, 2.0F, 3.0F, 1.0F}), 4),
              ElementsAre(Pair(1, 3), Pair(3, 3), Pair(2, 2), Pair(0, 1)));
}

TEST(SixDigits, AreAllThatJsonPrints) {
  EXPECT_EQ(Json(six_digits(0.1F)).dump(), "0.1");
  EXPECT_EQ(Json(six_digits(0.123456789F)).dump(), "0.123457");
}

}  // namespace
}  // namespace tessera
