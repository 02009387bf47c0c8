#include "encoders/vir.h"

#include "pyramids.h"

namespace tessera {
namespace {

using testing::distance;
using testing::drawn;
using testing::error_of;
using testing::pixels;

VirOptions small(bool mirrored = false) {
  return {.image = {16, 24},
          .patch = 8,
          .dim = 12,
          .depth = 2,
          .heads = 3,
          .ffn = 20,
          .chunk = 3,
          .class_token = !mirrored,
          .mirrored = mirrored,
          .layer_scale = 0.5};
}

TEST(Vir, ReadsPicturesOfAnySizeFromOnePatchOn) {
  for (const bool mirrored : {false, true})
    testing::expect_an_encoder(*drawn<Vir>(small(mirrored)), {{16, 24}, {8, 8}, {15, 40}, {33, 9}});
}

TEST(Vir, ParallelChunkwiseAndRecurrentFormsAreOneAndTheSoftmaxIsNot) {
  const torch::NoGradGuard no_grad;
  for (const bool mirrored : {false, true}) {
    const auto vir = drawn<Vir>(small(mirrored));
    const Tensor chunkwise = vir->forward(pixels(40, 24)).x;
    vir->set_form("parallel");
    EXPECT_LT(distance(vir->forward(pixels(40, 24)).x, chunkwise), 1e-4);
    vir->set_form("recurrent");
    EXPECT_LT(distance(vir->forward(pixels(40, 24)).x, chunkwise), 1e-4);
    vir->set_form("chunkwise", 5);
    EXPECT_LT(distance(vir->forward(pixels(40, 24)).x, chunkwise), 1e-4);
    vir->set_form("softmax");
    EXPECT_GT(distance(vir->forward(pixels(40, 24)).x, chunkwise), 1e-3);
  }
}

TEST(Vir, TheClassTokenStandsLastAndSeesAll) {
  const torch::NoGradGuard no_grad;
  const auto vir = drawn<Vir>(small());
  Tensor picture = pixels(16, 24, 1);
  const Tokens before = vir->forward(picture);
  EXPECT_EQ(before.suffix, 1);
  EXPECT_EQ(before.x.size(1), 7);
  picture.narrow(2, 8, 8).narrow(3, 0, 8) += 1;  // patch 3
  const Tensor change = (vir->forward(picture).x - before.x).abs().sum(-1)[0];
  EXPECT_LT(change.narrow(0, 0, 3).max().item<double>(), 1e-6) << "those before do not see it";
  EXPECT_GT(change.narrow(0, 3, 4).min().item<double>(), 1e-5);
}

TEST(Vir, TheMirroredHalfIsThePictureTurned) {
  const torch::NoGradGuard no_grad;
  const auto vir = drawn<Vir>(small(true));
  const Tokens tokens = vir->embed(pixels(16, 24));
  EXPECT_EQ(tokens.grid, (Grid{4, 3}));
  const Tensor map = as_map(tokens);
  EXPECT_TRUE(torch::equal(map.narrow(2, 2, 2), map.narrow(2, 0, 2).flip({2, 3})));
}

TEST(Vir, PatchesThatAreNotRealChangeNothing) {
  const torch::NoGradGuard no_grad;
  const auto vir = drawn<Vir>(small());
  Tensor framed = pixels(16, 24), real = torch::ones({2, 16, 24}, torch::kInt64);
  real.narrow(1, 8, 8).zero_();
  const Tensor before = vir->forward(framed, real).x;
  framed.narrow(2, 8, 8) += 1;
  const Tensor change = (vir->forward(framed, real).x - before).abs();
  EXPECT_LT(change.narrow(1, 0, 3).max().item<double>(), 1e-6);
  EXPECT_LT(change.narrow(1, 6, 1).max().item<double>(), 1e-6);
}

TEST(Vir, GradientsReachEveryParameterInEveryForm) {
  for (const std::string form : {"parallel", "chunkwise", "recurrent", "softmax"})
    for (const bool mirrored : {false, true}) {
      const auto vir = drawn<Vir>(small(mirrored));
      vir->set_form(form);
      testing::expect_gradients(*vir, vir->forward(pixels(16, 24)).x);
    }
}

TEST(Vir, DropPathIsOffOutsideTraining) { testing::expect_drop_path_off<Vir>(small(), 16, 24); }

TEST(Vir, WhatDoesNotFitIsAnError) {
  VirOptions options = small();
  options.mirrored = true;
  EXPECT_THAT(error_of([&] { Vir vir(options); }), ::testing::HasSubstr("no last place for a class token"));
  options = small(), options.form = "sequential";
  EXPECT_THROW(Vir vir(options), Error);
}

TEST(Vir, BlocksAndTheWeightsOfTheSoftmaxCanBeTapped) {
  const torch::NoGradGuard no_grad;
  VirOptions options = small();
  options.form = "softmax";
  const auto vir = drawn<Vir>(options);
  Taps taps(*vir, {"blocks.1", "blocks.0.attention.weights"});
  const Tokens tokens = vir->forward(pixels(16, 24));
  EXPECT_EQ(taps.at("blocks.1").sizes(), tokens.x.sizes());
  EXPECT_LT(distance(taps.at("blocks.0.attention.weights").sum(-1), torch::ones({2, 3, 7})), 1e-5);
}

TEST(Vir, IsBuiltByKind) {
  Json options = write_options(small());
  options["kind"] = "vir";
  EXPECT_EQ(encoders().make(options, "encoder")->width(), 12);
}

}  // namespace
}  // namespace tessera
