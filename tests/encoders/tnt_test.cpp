#include "encoders/pyramid_tnt.h"
#include "pyramids.h"

namespace tessera {
namespace {

using testing::distance;
using testing::drawn;
using testing::error_of;
using testing::pixels;

TntOptions small() {
  return {.image = {16, 24},
          .patch = 8,
          .depth = 2,
          .dim = 16,
          .heads = 2,
          .inner_dim = 6,
          .inner_heads = 2,
          .inner_stride = 4,
          .ffn_ratio = 2,
          .inner_ffn_ratio = 2};
}

PyramidTntOptions small_pyramid() {
  return {.image = {64, 32},
          .depths = {1, 2, 1},
          .dims = {8, 8, 12},
          .heads = {2, 2, 3},
          .inner_dims = {4, 4, 6},
          .inner_heads = {1, 2, 2},
          .ratios = {4, 2, 1},
          .ffn_ratio = 2};
}

TEST(Tnt, ReadsPicturesOfAnySizeFromOnePatchOn) {
  TntOptions legacy = small();
  legacy.legacy = legacy.position_maps = true;
  for (const TntOptions& options : {small(), legacy})
    testing::expect_an_encoder(*drawn<Tnt>(options), {{16, 24}, {8, 8}, {15, 9}, {8, 41}, {33, 24}});
  testing::expect_an_encoder(*drawn<PyramidTnt>(small_pyramid()), {{64, 32}, {1, 1}, {17, 70}, {40, 8}});
}

TEST(Tnt, GradientsReachEveryParameter) {
  TntOptions legacy = small(), excited = small();
  legacy.legacy = legacy.position_maps = legacy.qkv_bias = true, excited.excitation = true;
  for (const TntOptions& options : {small(), legacy, excited}) {
    const auto tnt = drawn<Tnt>(options);
    testing::expect_gradients(*tnt, tnt->forward(pixels(16, 24)).x);
    testing::expect_gradients(*tnt, tnt->forward(pixels(27, 17)).x);
  }
  const auto pyramid = drawn<PyramidTnt>(small_pyramid());
  testing::expect_gradients(*pyramid, pyramid->forward(pixels(64, 32)).x);
  testing::expect_gradients(*pyramid, pyramid->forward(pixels(52, 41)).x);
}

TEST(Tnt, WordsSeeThoseOfTheirSentenceAlone) {
  const torch::NoGradGuard no_grad;
  for (const bool legacy : {false, true}) {
    TntOptions options = small();
    options.legacy = legacy;
    const auto tnt = drawn<Tnt>(options);
    Taps taps(*tnt, {"blocks.1.words"});
    Tensor picture = pixels(16, 24, 1);
    tnt->forward(picture);
    const Tensor before = taps.at("blocks.1.words");  // sentences x words x D
    picture.narrow(2, 0, 8).narrow(3, 0, 8) += 1;
    tnt->forward(picture);
    const Tensor change = (taps.at("blocks.1.words") - before).abs().sum(-1).sum(-1);
    EXPECT_GT(change[0].item<double>(), 1e-3);
    EXPECT_LT(change[2].item<double>(), 1e-5);
    EXPECT_EQ(change[1].item<double>() > 1e-5, legacy) << "the first files' convolution sees beyond a patch";
  }
}

TEST(Tnt, SentencesLearnOfEachOthersWords) {
  const torch::NoGradGuard no_grad;
  const auto tnt = drawn<Tnt>(small());
  Tensor picture = pixels(16, 24, 1);
  const Tensor before = tnt->forward(picture).x;
  picture.narrow(2, 8, 8).narrow(3, 16, 8) += 1;
  EXPECT_GT((tnt->forward(picture).x - before).abs().sum(-1).min().item<double>(), 1e-4);
}

TEST(Tnt, AnExcitationThatSaysNothingChangesNothing) {
  const torch::NoGradGuard no_grad;
  TntOptions excited = small();
  excited.excitation = true;
  const auto with = drawn<Tnt>(excited), without = drawn<Tnt>(small());
  for (auto& item : with->named_parameters()) {
    if (Tensor* other = without->named_parameters().find(item.key())) item.value().copy_(*other);
    if (item.key().find("excite") != std::string::npos) item.value().zero_();
  }
  EXPECT_LT(distance(with->forward(pixels(16, 24)).x, without->forward(pixels(16, 24)).x), 1e-6);
}

TEST(Tnt, DropPathIsOffOutsideTraining) { testing::expect_drop_path_off<Tnt>(small(), 16, 24); }

TEST(Tnt, BlocksAndBothAttentionsCanBeTapped) {
  const torch::NoGradGuard no_grad;
  const auto tnt = drawn<Tnt>(small());
  Taps taps(*tnt, {"blocks.0.inner.weights", "blocks.0.outer.attention.weights", "blocks.1.outer"});
  tnt->forward(pixels(16, 24));
  EXPECT_EQ(taps.at("blocks.0.inner.weights").sizes(), (std::vector<int64_t>{12, 2, 4, 4}));
  EXPECT_EQ(taps.at("blocks.0.outer.attention.weights").sizes(), (std::vector<int64_t>{2, 2, 7, 7}));
  EXPECT_EQ(taps.at("blocks.1.outer").sizes(), (std::vector<int64_t>{2, 7, 16}));
}

TEST(PyramidTnt, FourSentencesBecomeOneOfTheirPlace) {
  const torch::NoGradGuard no_grad;
  const auto pyramid = drawn<PyramidTnt>(small_pyramid());
  Taps taps(*pyramid,
            {"stages.0.words", "merges.0.words", "merges.0.sentences", "stages.0.blocks.0.outer.attention.weights"});
  pyramid->forward(pixels(64, 32));
  EXPECT_EQ(taps.at("stages.0.words").sizes(), (std::vector<int64_t>{64, 16, 4}));
  EXPECT_EQ(taps.at("merges.0.words").sizes(), (std::vector<int64_t>{16, 16, 4}));
  EXPECT_EQ(taps.at("merges.0.sentences").sizes(), (std::vector<int64_t>{2, 8, 8}));
  EXPECT_EQ(taps.at("stages.0.blocks.0.outer.attention.weights").sizes(), (std::vector<int64_t>{2, 2, 32, 2}));
}

TEST(Tnt, WhatDoesNotFitIsAnError) {
  TntOptions options = small();
  options.patch = 32;
  EXPECT_THROW(Tnt tnt(options), Error);
  options = small(), options.inner_heads = 4;
  EXPECT_THROW(Tnt tnt(options), Error);
  options = small(), options.legacy = true, options.inner_stride = 3;
  EXPECT_THAT(error_of([&] { Tnt tnt(options); }), ::testing::HasSubstr("no whole number of words"));
  EXPECT_THROW(drawn<Tnt>(small())->forward(pixels(7, 24)), Error);
  PyramidTntOptions pyramid = small_pyramid();
  pyramid.ratios = {4, 2};
  EXPECT_THAT(error_of([&] { PyramidTnt tnt(pyramid); }), ::testing::HasSubstr("different lengths"));
}

TEST(Tnt, IsBuiltByKind) {
  Json options = write_options(small());
  options["kind"] = "tnt";
  EXPECT_EQ(encoders().make(options, "encoder")->width(), 16);
  options = write_options(small_pyramid());
  options["kind"] = "pyramid-tnt";
  EXPECT_EQ(encoders().make(options, "encoder")->width(), 12);
}

}  // namespace
}  // namespace tessera
