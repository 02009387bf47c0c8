// What is each family's own.
#include <gmock/gmock.h>

#include "support/scratch.h"
#include "vlm/models.h"
#include "vlm/prompt_tokenizer.h"

namespace tessera {
namespace {

using ::testing::AllOf;
using testing::distance;
using testing::error_of;
using ::testing::HasSubstr;
using testing::ids_of;
using testing::some_pixels;

constexpr double kNear = 2e-5;

MultimodalBatch with_picture(const Tensor& pixels, const Tensor& ids, const Tensor& types = {}) {
  MultimodalBatch batch;
  batch.pictures.pixel_values = pixels;
  batch.text = {ids, {}, types};
  return batch;
}

Tensor types(int64_t prompt, int64_t answer) {
  return torch::cat({torch::zeros({1, prompt}, torch::kInt64), torch::ones({1, answer}, torch::kInt64)}, 1);
}

TEST(PaliGemma, PictureAndPromptSeeEachOtherAndNotTheAnswer) {
  const torch::NoGradGuard no_grad;
  const auto model = testing::paligemma();
  const Tensor a = model->forward(with_picture(some_pixels(1), ids_of({-9, 2, 7, 4, 5, 6}), types(12, 2)));
  const Tensor other_prompt = model->forward(with_picture(some_pixels(1), ids_of({-9, 2, 7, 9, 5, 6}), types(12, 2)));
  const Tensor other_answer = model->forward(with_picture(some_pixels(1), ids_of({-9, 2, 7, 4, 5, 8}), types(12, 2)));
  for (int64_t i = 0; i < 14; ++i) EXPECT_GT(distance(a.select(1, i), other_prompt.select(1, i)), 1e-4) << i;
  EXPECT_LT(distance(a.narrow(1, 0, 13), other_answer.narrow(1, 0, 13)), kNear);
}

TEST(PaliGemma, WithoutTypesItIsCausal) {
  const torch::NoGradGuard no_grad;
  const auto model = testing::paligemma();
  const Tensor ids = ids_of({-9, 2, 7, 4}), answers = torch::ones_like(ids);
  EXPECT_LT(distance(model->forward(with_picture(some_pixels(1), ids)),
                     model->forward(with_picture(some_pixels(1), ids, answers))),
            kNear);
}

TEST(PaliGemma, AnAnswerReadAtOnceOrTokenByTokenIsTheSame) {
  const torch::NoGradGuard no_grad;
  const auto model = testing::paligemma();
  const Tensor ids = ids_of({-9, 2, 7, 4, 5, 6});
  MultimodalPrompt prompt = model->begin(with_picture(some_pixels(1), ids.narrow(1, 0, 12), types(12, 0)));
  std::vector<Tensor> cached = {model->logits(model->hidden(prompt.tokens, &prompt.state).x)};
  for (int64_t i = 12; i < 14; ++i) cached.push_back(model->forward({ids.narrow(1, i, 1), {}, {}}, &prompt.state));
  EXPECT_LT(distance(torch::cat(cached, 1), model->forward(with_picture(some_pixels(1), ids, types(12, 2)))), kNear);
}

TEST(PaliGemma, ThePromptIsPicturesThenTextThenANewline) {
  ImageBatch pictures;
  pictures.pixel_values = some_pixels(1);
  std::string nine;
  for (int i = 0; i < 9; ++i) nine += "<image>";
  EXPECT_EQ(testing::paligemma()->expand_placeholders("caption en", pictures), nine + "<bos>caption en\n");
  EXPECT_EQ(testing::paligemma()->expand_placeholders("<image>caption en", pictures), nine + "<bos>caption en\n");
}

MultimodalBatch tiled(const std::vector<std::vector<int64_t>>& sizes, int64_t tiles) {
  at::manual_seed(11);
  MultimodalBatch batch;
  const auto count = static_cast<int64_t>(sizes.size());
  batch.pictures.pixel_values = torch::randn({count, tiles, 3, 12, 12});
  std::vector<Tensor> rows;
  for (const auto& size : sizes) rows.push_back(torch::tensor(size, torch::kInt64));
  batch.pictures.image_sizes = torch::stack(rows);
  return batch;
}

TEST(LlavaNext, TokensAreAsManyAsCountedForPicturesOfEveryShape) {
  const torch::NoGradGuard no_grad;
  const auto model = testing::llava_next();
  std::vector<std::vector<int64_t>> sizes;
  for (const int64_t height : {1, 7, 12, 24, 31, 60, 200})
    for (const int64_t width : {1, 5, 12, 24, 37, 90, 333}) sizes.push_back({height, width});
  const MultimodalBatch batch = tiled(sizes, 5);
  const auto lengths = model->picture_lengths(batch.pictures);
  const auto pictures = model->picture_tokens(batch);
  ASSERT_EQ(pictures.size(), lengths.size());
  for (size_t i = 0; i < lengths.size(); ++i)
    EXPECT_EQ(pictures[i].size(0), lengths[i]) << sizes[i][0] << " x " << sizes[i][1];
}

TEST(LlavaNext, TilesThatAPictureDoesNotNeedAreNotLookedAt) {
  const torch::NoGradGuard no_grad;
  const auto model = testing::llava_next();
  MultimodalBatch batch = tiled({{12, 24}, {24, 24}}, 5);
  const auto before = model->picture_tokens(batch);
  batch.pictures.pixel_values[0].narrow(0, 3, 2).fill_(9);
  EXPECT_TRUE(torch::equal(model->picture_tokens(batch)[0], before[0]));
  batch.pictures.pixel_values[1][4].fill_(9);
  EXPECT_GT(distance(model->picture_tokens(batch)[1], before[1]), 1e-3);
}

TEST(LlavaNext, APictureThatFillsItsCanvasLosesNoTile) {
  const torch::NoGradGuard no_grad;
  const auto model = testing::llava_next();
  const MultimodalBatch batch = tiled({{24, 24}}, 5);
  const Tensor packed = model->picture_tokens(batch)[0];
  ASSERT_EQ(packed.size(0), 9 + 6 * 7);
  // Row 0 of the map is row 0 of tiles 1 and 2, and then the newline.
  MultimodalBatch one = batch;
  const auto features = [&](int64_t tile) {
    one.pictures.pixel_values =
        batch.pictures.pixel_values.index_select(1, torch::tensor({tile, tile, tile, tile, tile}));
    return model->picture_tokens(one)[0].narrow(0, 0, 9);  // the overview is that tile
  };
  EXPECT_LT(distance(packed.narrow(0, 0, 9), features(0)), kNear);
  EXPECT_LT(distance(packed.narrow(0, 9, 3), features(1).narrow(0, 0, 3)), kNear);
  EXPECT_LT(distance(packed.narrow(0, 12, 3), features(2).narrow(0, 0, 3)), kNear);
  EXPECT_LT(distance(packed[15], model->named_parameters()["newline"]), kNear);
  EXPECT_LT(distance(packed.narrow(0, 9 + 7 * 3, 3), features(3).narrow(0, 0, 3)), kNear);
}

TEST(LlavaNext, PicturesWithoutSizesOrTilesAreRefused) {
  const auto model = testing::llava_next();
  MultimodalBatch batch = tiled({{24, 24}}, 4);
  EXPECT_THAT(error_of([&] { model->picture_tokens(batch); }), AllOf(HasSubstr("needs 5 tiles"), HasSubstr("has 4")));
  batch.pictures.image_sizes = Tensor();
  EXPECT_THAT(error_of([&] { model->picture_tokens(batch); }), HasSubstr("size of each"));
  batch = tiled({{0, 24}}, 5);
  EXPECT_THAT(error_of([&] { model->picture_lengths(batch.pictures); }), HasSubstr("0 x 24"));
}

TEST(Idefics2, APictureInALargerFrameIsThePictureAlone) {
  const torch::NoGradGuard no_grad;
  const auto model = testing::idefics2();
  for (const auto& [height, width] : std::vector<std::pair<int64_t, int64_t>>{{4, 4}, {8, 20}, {12, 12}, {20, 4}}) {
    MultimodalBatch alone, framed;
    alone.pictures.pixel_values = some_pixels(1, height, width);
    framed.pictures.pixel_values = torch::zeros({1, 3, 20, 24});
    framed.pictures.pixel_values.narrow(2, 0, height).narrow(3, 0, width).copy_(alone.pictures.pixel_values);
    framed.pictures.pixel_mask = torch::zeros({1, 20, 24}, torch::kInt64);
    framed.pictures.pixel_mask.narrow(1, 0, height).narrow(2, 0, width).fill_(1);
    EXPECT_LT(distance(model->picture_tokens(framed)[0], model->picture_tokens(alone)[0]), kNear) << height << width;
  }
}

TEST(Idefics2, PicturesOfZerosFillUpABatch) {
  const torch::NoGradGuard no_grad;
  const auto model = testing::idefics2();
  const Tensor pixels = some_pixels(3);
  MultimodalBatch flat, rows;
  flat.pictures.pixel_values = pixels;
  rows.pictures.pixel_values = torch::cat({pixels, torch::zeros_like(pixels.narrow(0, 0, 1))}).view({2, 2, 3, 12, 12});
  const auto a = model->picture_tokens(flat), b = model->picture_tokens(rows);
  ASSERT_EQ(b.size(), 3u);
  for (size_t i = 0; i < 3; ++i) EXPECT_LT(distance(a[i], b[i]), kNear);
}

TEST(Idefics2, APictureInPartsHasAPlaceForEachOfThem) {
  ImageBatch pictures;
  pictures.pixel_values = some_pixels(2).unsqueeze(0);
  const std::string three = "<image><image><image>", around = "<fake_token_around_image>";
  EXPECT_EQ(testing::idefics2()->expand_placeholders("a<image>b", pictures),
            "a" + around + three + around + three + around + "b");
}

TEST(Idefics2, NeighbouringPicturesShareTheTokenBetweenThem) {
  ImageBatch pictures;
  pictures.pixel_values = some_pixels(2);
  const std::string three = "<image><image><image>", around = "<fake_token_around_image>";
  EXPECT_EQ(testing::idefics2()->expand_placeholders("a<image><image>b", pictures),
            "a" + around + three + around + three + around + "b");
  EXPECT_EQ(testing::idefics2()->expand_placeholders("<image> or <image>", pictures),
            around + three + around + " or " + around + three + around);
}

using Ids = std::vector<int64_t>;

TEST(VisionLanguage, APromptThatSpellsItsBeginTokenGetsNoOther) {
  const Tokenizer tokenizer = testing::prompt_tokenizer(testing::kPlace);
  const auto model = testing::llava();
  EXPECT_EQ(model->prompt_ids("<image> a <image> b", tokenizer).ids, (Ids{1, 50, 3, 50, 4}));
  EXPECT_EQ(model->prompt_ids("<s><image> a", tokenizer).ids, (Ids{1, 50, 3}));
  EXPECT_EQ(testing::paligemma()->prompt_ids("<image><s> a", tokenizer).ids, (Ids{50, 1, 3}));
}

TEST(VisionLanguage, ATokenizerThatKnowsNoPlaceIsRefused) {
  EXPECT_THAT(error_of([] { testing::llava()->prompt_ids("<image> a", testing::prompt_tokenizer(-1)); }),
              HasSubstr("no token <image>"));
}

TEST(VisionLanguage, EachFamilyIsAskedInItsManner) {
  EXPECT_EQ(testing::llava()->question_prompt("Who?", 2), "<image><image>\nWho?\n");
  EXPECT_EQ(testing::llava()->caption_prompt({"de", "German"}, 1), "<image>\nDescribe this picture in German.\n");
  EXPECT_EQ(testing::llava_next()->question_prompt("Who?", 1), "USER: <image>\nWho? ASSISTANT:");
  EXPECT_EQ(testing::idefics2()->question_prompt("Who?", 1), "User:<image>Who?<end_of_utterance>\nAssistant:");
  EXPECT_EQ(testing::paligemma()->question_prompt("Who?", 1), "answer en Who?");
  EXPECT_EQ(testing::paligemma()->caption_prompt({"de", "German"}, 1), "caption de");
}

}  // namespace
}  // namespace tessera
