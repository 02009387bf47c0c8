// What every vision-language model promises.
#include "vlm/vision_language.h"

#include <gmock/gmock.h>

#include "support/scratch.h"
#include "vlm/models.h"

namespace tessera {
namespace {

using ::testing::AllOf;
using testing::distance;
using testing::error_of;
using ::testing::HasSubstr;
using testing::ids_of;
using testing::kPlace;
using testing::llava;
using testing::some_pixels;

constexpr double kNear = 2e-5;

MultimodalBatch batch_of(const Tensor& pixels, const TextBatch& text) {
  MultimodalBatch batch;
  batch.pictures.pixel_values = pixels;
  batch.text = text;
  return batch;
}

TEST(VisionLanguage, ATextWithoutPicturesIsTheLanguageModelsOwn) {
  const torch::NoGradGuard no_grad;
  const auto model = llava();
  const TextBatch text{ids_of({3, 8, 21, 4, 4}), {}, {}};
  LanguageState state = model->start();
  EXPECT_TRUE(torch::equal(model->forward(batch_of({}, text)), model->language().forward(text, &state)));
  EXPECT_TRUE(torch::equal(model->forward(batch_of(some_pixels(0), text)), model->forward(batch_of({}, text))));
}

TEST(VisionLanguage, APromptInPiecesGivesTheLogitsOfTheWhole) {
  const torch::NoGradGuard no_grad;
  const auto model = llava();
  const MultimodalBatch batch = batch_of(some_pixels(1), {ids_of({3, -9, 7, 2}), {}, {}});
  const Tensor whole = model->forward(batch);
  for (const std::vector<int64_t>& lengths : {std::vector<int64_t>{4, 5, 3}, {1, 9, 2}, std::vector<int64_t>(12, 1)}) {
    Prompt prompt = model->begin(batch);
    std::vector<Tensor> pieces;
    int64_t begin = 0;
    for (const int64_t length : lengths) {
      const Tokens piece = prompt.tokens.with(prompt.tokens.x.narrow(1, begin, length));
      pieces.push_back(model->logits(model->hidden(piece, &prompt.state).x));
      begin += length;
    }
    EXPECT_LT(distance(torch::cat(pieces, 1), whole), kNear);
  }
}

TEST(VisionLanguage, WhatFollowsThePromptNeedsNoPicture) {
  const torch::NoGradGuard no_grad;
  const auto model = llava();
  const Tensor prompt_ids = ids_of({3, -9, 7}), more = ids_of({5, 11, 6});
  Prompt prompt = model->begin(batch_of(some_pixels(1), {prompt_ids, {}, {}}));
  std::vector<Tensor> cached = {model->logits(model->hidden(prompt.tokens, &prompt.state).x)};
  for (int64_t i = 0; i < 3; ++i) cached.push_back(model->forward({more.narrow(1, i, 1), {}, {}}, &prompt.state));
  const Tensor whole = model->forward(batch_of(some_pixels(1), {torch::cat({prompt_ids, more}, 1), {}, {}}));
  EXPECT_LT(distance(torch::cat(cached, 1), whole), kNear);
}

TEST(VisionLanguage, ABatchOfDifferentNumbersOfPicturesEqualsSingleOnes) {
  const torch::NoGradGuard no_grad;
  const auto model = llava();
  const std::vector<Tensor> rows = {ids_of({3, -9, 7}), ids_of({-9, 4, -9, 8}), ids_of({5, 6}), ids_of({1, -9})};
  const std::vector<int64_t> counts = {1, 2, 0, 1};
  const Tensor pixels = some_pixels(4);
  const TextBatch text = testing::left_padded(rows);
  const Tensor together = model->forward(batch_of(pixels, text));
  int64_t first = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    const Tensor alone = model->forward(batch_of(pixels.narrow(0, first, counts[i]), {rows[i], {}, {}}));
    const int64_t length = rows[i].size(1), begin = text.ids.size(1) - length;
    EXPECT_LT(distance(together[static_cast<int64_t>(i)].narrow(0, begin, length), alone[0]), kNear) << i;
    first += counts[i];
  }
}

TEST(VisionLanguage, APictureIsSeenFromItsPlaceOn) {
  const torch::NoGradGuard no_grad;
  const auto model = llava();
  const TextBatch text{ids_of({3, 4, -9, 7}), {}, {}};
  const Tensor a = model->forward(batch_of(some_pixels(1), text)), b = model->forward(batch_of(-some_pixels(1), text));
  EXPECT_TRUE(torch::equal(a.narrow(1, 0, 2), b.narrow(1, 0, 2)));
  EXPECT_GT(distance(a.select(1, 11), b.select(1, 11)), 1e-3);
}

TEST(VisionLanguage, EveryParameterLearnsFromTheText) {
  const auto model = llava();
  testing::expect_gradients(*model, model->forward(batch_of(some_pixels(2), {ids_of({3, -9, 7, -9, 2}), {}, {}})));
}

TEST(VisionLanguage, TheAnswerIsTheLikeliestContinuation) {
  const torch::NoGradGuard no_grad;
  const auto model = llava();
  const Tensor pixels = some_pixels(2);
  const TextBatch text = testing::left_padded({ids_of({3, -9, 7}), ids_of({9, 2, 2, -9, 4, 1})});
  const Tensor answer = generate(*model, batch_of(pixels, text), {.max_new_tokens = 4});
  TextBatch grown = text;
  for (int64_t i = 0; i < 4; ++i) {
    const Tensor next = model->forward(batch_of(pixels, grown)).select(1, -1).argmax(-1);
    EXPECT_TRUE(torch::equal(next, answer.select(1, i))) << i;
    grown.ids = torch::cat({grown.ids, next.unsqueeze(1)}, 1);
    grown.mask = torch::cat({grown.mask, torch::ones({2, 1}, torch::kBool)}, 1);
  }
}

TEST(VisionLanguage, AnAnswerEndsWithItsEnd) {
  const auto model = llava();
  const MultimodalBatch batch = batch_of(some_pixels(1), {ids_of({3, -9, 7}), {}, {}});
  const Tensor answer = generate(*model, batch, {.max_new_tokens = 5});
  for (int64_t length = 1; length <= 2; ++length) {
    const int64_t end = answer[0][length - 1].item<int64_t>();
    const Tensor cut = generate(*model, batch, {.max_new_tokens = 5, .end_ids = {end}});
    EXPECT_LE(cut.size(1), length);
    EXPECT_EQ(cut[0][-1].item<int64_t>(), end);
  }
  EXPECT_EQ(generate(*model, batch, {.max_new_tokens = 0}).size(1), 0);
}

TEST(VisionLanguage, PicturesAndPlacesMustMatch) {
  const auto model = llava();
  const auto error = [&](int64_t pictures, const std::vector<Tensor>& rows) {
    return error_of([&] { model->forward(batch_of(some_pixels(pictures), testing::left_padded(rows))); });
  };
  EXPECT_THAT(error(2, {ids_of({3, -9, 7})}), AllOf(HasSubstr("2 pictures"), HasSubstr("a place for 1")));
  EXPECT_THAT(error(1, {ids_of({3, 7})}), AllOf(HasSubstr("1 pictures"), HasSubstr("a place for 0")));
  EXPECT_THAT(error(0, {ids_of({3, -9, 7})}),
              AllOf(HasSubstr("sequence 0"), HasSubstr("9 tokens"), HasSubstr("have 0")));
  EXPECT_THAT(error(1, {ids_of({3, -8, 7})}), AllOf(HasSubstr("8 tokens"), HasSubstr("have 9")));
  EXPECT_THAT(error(2, {ids_of({-9}), ids_of({-9, -9})}), AllOf(HasSubstr("sequence 1"), HasSubstr("18 tokens")));
  // The sums agree, and yet a picture would begin in one row and end in the next.
  EXPECT_THAT(error(2, {ids_of({-6}), ids_of({-12})}), HasSubstr("sequence 0"));
}

TEST(VisionLanguage, PartsOfDifferentWidthsAreRefused) {
  auto parts = testing::parts(true);
  parts.bridge = std::make_shared<MlpBridge>(MlpBridgeOptions{.dim = 16, .width = 20});
  EXPECT_THAT(error_of([&] { VisionLanguage(parts, testing::at_places()); }),
              AllOf(HasSubstr("width 20"), HasSubstr("reads 24")));
  parts.bridge = std::make_shared<MlpBridge>(MlpBridgeOptions{.dim = 20, .width = 24});
  EXPECT_THAT(error_of([&] { VisionLanguage(parts, testing::at_places()); }), HasSubstr("of width 16"));
}

TEST(VisionLanguage, AnyPartsMakeOneByARecipe) {
  const Json recipe = {
      {"encoder", {{"kind", "hybrid-vit"}, {"stem", 4}, {"widths", {4, 6}}, {"blocks", {0, 1}}, {"image", {16, 16}}}},
      {"bridge", {{"kind", "mlp"}, {"dim", 6}, {"width", 16}}},
      {"language",
       {{"kind", "mamba2"},
        {"vocabulary", 50},
        {"dim", 16},
        {"depth", 1},
        {"heads", 4},
        {"head_dim", 8},
        {"state", 6},
        {"groups", 2}}},
      {"placeholder_id", kPlace}};
  const auto model = make_vision_language(recipe, "recipe");
  const Tensor logits = model->forward(batch_of(some_pixels(1, 16, 16), {ids_of({3, -16, 7}), {}, {}}));
  EXPECT_EQ(logits.sizes(), (std::vector<int64_t>{1, 18, 50}));
  Json wrong = recipe;
  wrong["place"] = 3;
  EXPECT_THAT(error_of([&] { make_vision_language(wrong, "recipe"); }), HasSubstr("place"));
}

TEST(VisionLanguage, PicturesMayStandBeforeTheTextInstead) {
  const torch::NoGradGuard no_grad;
  VisionLanguageOptions options = testing::at_places();
  options.join = "prepend";
  const auto before = testing::made<VisionLanguage>(testing::parts(true), options), at_places = llava();
  const Tensor pixels = some_pixels(2);
  const TextBatch text{torch::cat({ids_of({3, 7}), ids_of({9, 1})}), {}, {}};
  const TextBatch with_places{torch::cat({ids_of({-9, 3, 7}), ids_of({-9, 9, 1})}), {}, {}};
  EXPECT_TRUE(torch::equal(before->forward(batch_of(pixels, text)), at_places->forward(batch_of(pixels, with_places))));
  EXPECT_THAT(error_of([&] { before->forward(batch_of(some_pixels(3), text)); }), HasSubstr("3 pictures"));
}

TEST(VisionLanguage, APlaceholderIsWrittenForEveryTokenOfAPicture) {
  const auto model = llava();
  ImageBatch pictures;
  pictures.pixel_values = some_pixels(2);
  EXPECT_EQ(model->picture_lengths(pictures), (std::vector<int64_t>{9, 9}));
  std::string nine;
  for (int i = 0; i < 9; ++i) nine += "<image>";
  EXPECT_EQ(model->expand_placeholders("a <image> and <image>.", pictures), "a " + nine + " and " + nine + ".");
  EXPECT_EQ(model->expand_placeholders("nothing", {}), "nothing");
  EXPECT_THAT(error_of([&] { model->expand_placeholders("one <image>", pictures); }), HasSubstr("2 pictures"));
  EXPECT_THAT(error_of([&] { model->expand_placeholders("one <image>", {}); }), HasSubstr("0 pictures"));
}

}  // namespace
}  // namespace tessera
