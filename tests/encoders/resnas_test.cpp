#include "encoders/resnas.h"

#include "core/taps.h"
#include "encoders/patch_labels.h"
#include "pyramids.h"

namespace tessera {
namespace {

using testing::distance;
using testing::drawn;
using testing::error_of;
using testing::pixels;

ResnasOptions small(const Json& embedding = {0, 8}, int64_t exists = 1) {
  return {.image = {56, 56},
          .network_def = {embedding,
                          {1, {8, 2, 4}, {8, 12}, 1},
                          {3, 8, 12},
                          {1, {12, 3, 6}, {12, 20}, exists},
                          {3, 12, 12},
                          {1, {12, 1, 4}, {12, 16}, 1},
                          {2, 12, 5}}};
}

TEST(Resnas, ReadsPicturesOfAnySizeFromOnePatchOn) {
  for (const Json& embedding : {Json{0, 8}, Json{4, 8}, Json{5, 8, 3}})
    for (const bool distillation : {false, true}) {
      ResnasOptions options = small(embedding);
      options.distillation = distillation;
      const auto resnas = drawn<Resnas>(options);
      testing::expect_an_encoder(*resnas, {{56, 56}, {14, 14}, {15, 70}, {71, 43}, {112, 29}});
      EXPECT_THAT(error_of([&] { resnas->forward(pixels(12, 56)); }), ::testing::HasSubstr("smaller than one patch"));
    }
}

TEST(Resnas, GradientsReachEveryParameter) {
  for (const Json& embedding : {Json{0, 8}, Json{4, 8}}) {
    const auto resnas = drawn<Resnas>(small(embedding));
    testing::expect_gradients(*resnas, resnas->forward(pixels(56, 56)).x);
    testing::expect_gradients(*resnas, resnas->forward(pixels(71, 43)).x);
  }
}

TEST(Resnas, DropPathIsOffOutsideTraining) { testing::expect_drop_path_off<Resnas>(small(), 56, 56); }

TEST(Resnas, ABlockThatIsLeftOutIsNotThereAndKeepsItsNumber) {
  const auto all = drawn<Resnas>(small()), fewer = drawn<Resnas>(small({0, 8}, 0));
  EXPECT_TRUE(all->named_parameters().contains("blocks.2.norm1.weight"));
  EXPECT_FALSE(fewer->named_parameters().contains("blocks.2.norm1.weight"));
  EXPECT_TRUE(fewer->named_parameters().contains("blocks.4.norm1.weight"));
  const torch::NoGradGuard no_grad;
  for (auto& item : fewer->named_parameters()) item.value().copy_(all->named_parameters()[item.key()]);
  for (const char* silent : {"blocks.2.attention.proj", "blocks.2.ffn.down"})
    for (const char* tensor : {".weight", ".bias"}) all->named_parameters()[std::string(silent) + tensor].zero_();
  EXPECT_LT(distance(fewer->forward(pixels(56, 56)).x, all->forward(pixels(56, 56)).x), 1e-5);
}

TEST(Resnas, BlocksReductionsAndAttentionCanBeTapped) {
  const torch::NoGradGuard no_grad;
  const auto resnas = drawn<Resnas>(small());
  Taps taps(*resnas, {"patches", "blocks.0", "blocks.1", "blocks.2.attention.weights", "norm"});
  const Tokens tokens = resnas->forward(pixels(56, 56));
  EXPECT_EQ(taps.at("patches").sizes(), (std::vector<int64_t>{2, 16, 8}));
  EXPECT_EQ(taps.at("blocks.0").sizes(), (std::vector<int64_t>{2, 17, 8}));
  EXPECT_EQ(taps.at("blocks.1").sizes(), (std::vector<int64_t>{2, 5, 12}));
  EXPECT_EQ(taps.at("blocks.2.attention.weights").sizes(), (std::vector<int64_t>{2, 3, 5, 5}));
  EXPECT_TRUE(torch::equal(taps.at("norm"), tokens.x));
}

Tokens tokens_of(const Tensor& map) {  // B x C x h x w, with a class token of ones
  Tokens tokens = as_tokens(map);
  tokens.x = torch::cat({torch::ones({map.size(0), 1, map.size(1)}), tokens.x}, 1);
  tokens.prefix = 1;
  return tokens;
}

TEST(SpatialReduction, AloneItsResidualIsTheMeanOfWhatLiesInEachSquare) {
  const torch::NoGradGuard no_grad;
  SpatialReduction reduction({.dim = 2, .out = 3, .grid = {2, 2}});
  for (Tensor& parameter : reduction.parameters()) parameter.zero_();
  at::manual_seed(5);
  const Tensor map = torch::randn({1, 2, 3, 4});
  const Tokens after = reduction.forward(tokens_of(map));
  EXPECT_EQ(after.grid, (Grid{2, 2}));
  EXPECT_EQ(after.prefix, 1);
  const Tensor result = as_map(after);  // 1 x 3 x 2 x 2
  EXPECT_EQ(result.select(1, 2).abs().max().item<float>(), 0) << "new channels begin as zeros";
  for (int64_t channel = 0; channel < 2; ++channel)
    for (int64_t column = 0; column < 2; ++column) {
      const Tensor strip = map[0][channel].narrow(1, 2 * column, 2);
      EXPECT_NEAR(result[0][channel][0][column].item<float>(), strip.narrow(0, 0, 2).mean().item<float>(), 1e-6);
      EXPECT_NEAR(result[0][channel][1][column].item<float>(), strip.narrow(0, 2, 1).mean().item<float>(), 1e-6);
    }
  EXPECT_TRUE(torch::equal(after.x[0][0], torch::tensor({1.F, 1.F, 0.F})));
}

TEST(SpatialReduction, TheResidualIsAllThatItsOptionChanges) {
  const torch::NoGradGuard no_grad;
  SpatialReductionOptions options{.dim = 4, .out = 6, .grid = {2, 2}};
  const auto with = drawn<SpatialReduction>(options);
  options.residual = false;
  const auto without = drawn<SpatialReduction>(options);
  SpatialReduction silent({.dim = 4, .out = 6, .grid = {2, 2}});
  for (Tensor& parameter : silent.parameters()) parameter.zero_();
  const Tokens tokens = tokens_of(torch::randn({2, 4, 4, 4}));
  EXPECT_LT(distance(with->forward(tokens).x, without->forward(tokens).x + silent.forward(tokens).x), 1e-5);
}

TEST(ResnasDefinition, IsWrittenAsItWasRead) {
  for (const Json& embedding : {Json{0, 8}, Json{4, 8}, Json{5, 8, 3}})
    EXPECT_EQ(write_definition(read_definition(small(embedding, 0).network_def, "")), small(embedding, 0).network_def);
}

TEST(ResnasDefinition, WhatCannotBeIsAnErrorThatNamesTheEntry) {
  const auto message = [](const Json& json) { return error_of([&] { read_definition(json, "network_def"); }); };
  EXPECT_THAT(message(Json::object()), ::testing::HasSubstr("expected a list"));
  EXPECT_THAT(message({{1, {8, 2, 4}, {8, 12}, 1}}), ::testing::HasSubstr("network_def[0]"));
  EXPECT_THAT(message({{0, 8}, {1, {9, 2, 4}, {9, 12}, 1}}), ::testing::HasSubstr("reads 9 channels, but there are 8"));
  EXPECT_THAT(message({{0, 8}, {1, {8, 2}, {8, 12}, 1}}), ::testing::HasSubstr("is not of the form"));
  EXPECT_THAT(message({{0, 8}, {1, {8, 0, 4}, {8, 12}, 1}}), ::testing::HasSubstr("no heads"));
  EXPECT_THAT(message({{0, 8}, {3, 8, 4}}), ::testing::HasSubstr("fewer channels"));
  EXPECT_THAT(message({{0, 8}, {2, 8, 5}, {3, 8, 8}}), ::testing::HasSubstr("cannot stand there"));
  EXPECT_THAT(message({{0, 8}, {3, 8, "x"}}), ::testing::HasSubstr("integer"));
  EXPECT_THAT(message({{0, -8}}), ::testing::HasSubstr("negative"));
}

TEST(ResnasDefinition, ABlockThatIsLeftOutCostsNothing) {
  const auto cost = [](int64_t exists) {
    return cost_of(read_definition(small({0, 8}, exists).network_def, ""), 56, 3, false);
  };
  // 5 tokens of 12 channels; three heads of 6, 20 hidden channels.
  EXPECT_EQ(cost(1).macs - cost(0).macs, 5 * (12 * 54 + 18 * 12 + 2 * 12 * 20) + 2 * 25 * 18);
}

ImageClassifierOptions labelling() {
  Json encoder = write_options(small());
  encoder["kind"] = "vit-resnas";
  return {.encoder = encoder, .classes = 5};
}

TEST(PatchLabellingClassifier, LabelsEveryPatchBesideThePicture) {
  const auto model = drawn<PatchLabellingClassifier>(labelling());
  const auto logits = model->label(pixels(112, 56));
  EXPECT_EQ(logits.patches.sizes(), (std::vector<int64_t>{2, 2, 5}));
  EXPECT_TRUE(torch::equal(logits.picture, model->forward(pixels(112, 56))));
  testing::expect_gradients(*model, torch::cat({logits.picture.unsqueeze(1), logits.patches}, 1));
}

TEST(MixPatches, PixelsAndLabelsComeFromTheSamePicture) {
  Tensor pictures = torch::zeros({2, 1, 8, 8});
  pictures[1].fill_(1);
  const auto mixed = mix_patches(pictures, torch::tensor({2, 0}), torch::tensor({1, 0}),
                                 {.top = 1, .bottom = 3, .left = 0, .right = 2}, 4, 0.75, 3, 0);
  const Tensor from_other = torch::avg_pool2d(mixed.pixels[0], 2).flatten();  // 1 in the patches of the box
  EXPECT_EQ(from_other.sum().item<float>(), 4);
  EXPECT_TRUE(torch::equal(mixed.patches[0].select(1, 0), from_other));  // the other picture shows class 0
  EXPECT_TRUE(torch::equal(mixed.labels[0], torch::tensor({0.25F, 0.F, 0.75F})));
  EXPECT_THAT(
      error_of([&] {
        mix_patches(pictures, torch::tensor({2, 0}), torch::tensor({1, 0}), {.bottom = 5, .right = 1}, 4, 1, 3, 0);
      }),
      ::testing::HasSubstr("not within"));
}

}  // namespace
}  // namespace tessera
