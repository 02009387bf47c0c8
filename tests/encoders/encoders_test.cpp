#include <gmock/gmock.h>

#include "encoders/classifier.h"
#include "encoders/hybrid_vit.h"
#include "encoders/vit.h"
#include "encoders/vit_mae.h"
#include "layers/promises.h"
#include "support/scratch.h"

namespace tessera {
namespace {

using testing::distance;
using testing::error_of;
using testing::randomise;

VitOptions small() { return {.image = {24, 32}, .patch = {8, 8}, .dim = 16, .depth = 2, .heads = 2, .ffn = 32}; }

HybridVitOptions small_hybrid(int64_t depth) {
  return {.image = {32, 32},
          .stem = 4,
          .widths = {6, 8, 12},
          .blocks = {0, 1, 2},
          .dim = 16,
          .depth = depth,
          .heads = 2,
          .ffn = 32};
}

template <class T, class Options>
std::shared_ptr<T> made(const Options& options) {
  auto module = std::make_shared<T>(options);
  randomise(*module, 0.2);
  module->eval();
  return module;
}

Tensor pixels(int64_t height, int64_t width, int64_t batch = 2) {
  at::manual_seed(11);
  return torch::randn({batch, 3, height, width});
}

TEST(Encoder, SaysHowTheTokensOfAPictureLie) {
  const torch::NoGradGuard no_grad;
  for (const auto& encoder : std::vector<std::shared_ptr<Encoder>>{made<Vit>(small()), made<HybridVit>(small_hybrid(0)),
                                                                   made<HybridVit>(small_hybrid(1))})
    for (const auto& [height, width] : {std::pair{24, 32}, {33, 47}, {64, 8}}) {
      const Tokens tokens = encoder->forward(pixels(height, width));
      const auto layout = encoder->layout(height, width);
      EXPECT_EQ(layout.grid, tokens.grid);
      EXPECT_EQ(layout.prefix, tokens.prefix);
    }
}

TEST(Encoder, LeavesNoPixelOutUnlessItCan) {
  const auto hybrid = made<HybridVit>(small_hybrid(0));
  const std::shared_ptr<Encoder> encoder = hybrid;
  Tensor real = torch::ones({2, 32, 32}, torch::kInt64);
  EXPECT_TRUE(torch::equal(encoder->forward(pixels(32, 32), real).x, encoder->forward(pixels(32, 32)).x));
  real[1][31][31] = 0;
  EXPECT_NE(error_of([&] { encoder->forward(pixels(32, 32), real); }).find("whole pictures"), std::string::npos);
}

TEST(Vit, PatchesThatAreNotRealChangeNothing) {
  const torch::NoGradGuard no_grad;
  VitOptions options = small();
  options.fractional_positions = true;
  for (const bool class_token : {true, false}) {
    options.class_token = class_token;
    const auto vit = made<Vit>(options);
    for (const auto& [height, width] : {std::pair{24, 32}, {8, 40}, {16, 8}}) {
      const Tensor picture = pixels(height, width);
      Tensor framed = torch::randn({2, 3, 32, 40}), real = torch::zeros({2, 32, 40}, torch::kInt64);
      framed.narrow(2, 0, height).narrow(3, 0, width).copy_(picture);
      real.narrow(1, 0, height).narrow(2, 0, width).fill_(1);
      const Tokens all = vit->forward(framed, real), alone = vit->forward(picture);
      const int64_t prefix = alone.prefix;
      const Tensor cut = all.body().view({2, 4, 5, 16}).narrow(1, 0, height / 8).narrow(2, 0, width / 8);
      EXPECT_LT(distance(cut.reshape({2, -1, 16}), alone.body()), 1e-5);
      EXPECT_LT(distance(all.x.narrow(1, 0, prefix), alone.x.narrow(1, 0, prefix)), 1e-5);
      EXPECT_EQ(all.mask.sum().item<int64_t>(), 2 * (prefix + height / 8 * (width / 8)));
    }
  }
}

TEST(Vit, FractionalPositionsAreTheTableItselfAtItsOwnSize) {
  const torch::NoGradGuard no_grad;
  VitOptions options = small();
  const auto plain = made<Vit>(options);
  options.fractional_positions = true;
  const auto fractional = made<Vit>(options);
  EXPECT_TRUE(torch::equal(plain->forward(pixels(24, 32)).x, fractional->forward(pixels(24, 32)).x));
  // Twice the size: two by two patches share a row of the table.
  const Tensor same = torch::ones({1, 3, 48, 64});
  Taps taps(*fractional, {"patches"});
  const Tensor placed = fractional->embed_patches(same).x;
  const Tensor positions = (placed - taps.at("patches")).view({6, 8, 16});
  for (int64_t y = 0; y < 6; ++y)
    for (int64_t x = 0; x < 8; ++x) EXPECT_LT(distance(positions[y][x], positions[y / 2 * 2][x / 2 * 2]), 1e-6);
  EXPECT_GT(distance(positions[0][0], positions[0][2]), 1e-3);
}

TEST(Vit, FeaturesAreWhatItsBlocksGive) {
  const torch::NoGradGuard no_grad;
  VitOptions options = small();
  const auto whole = made<Vit>(options);
  options.features = {1, 2, 0};
  const auto several = made<Vit>(options);
  EXPECT_EQ(several->width(), 3 * 16);
  Taps taps(*whole, {"blocks.0", "blocks.1"});
  whole->forward(pixels(24, 32));
  const Tensor wanted = torch::cat({taps.at("blocks.0"), taps.at("blocks.1"), whole->embed(pixels(24, 32)).x}, -1);
  EXPECT_TRUE(torch::equal(several->forward(pixels(24, 32)).x, wanted));
  for (const int64_t layer : {-1, 3}) {
    options.features = {layer};
    EXPECT_NE(error_of([&] { Vit vit(options); }).find("no output of"), std::string::npos);
  }
}

TEST(Vit, ReadsPicturesOfAnySizeFromOnePatchOn) {
  const torch::NoGradGuard no_grad;
  const auto vit = made<Vit>(small());
  for (const auto& [height, width] : {std::pair{24, 32}, {8, 8}, {15, 9}, {8, 71}, {40, 24}}) {
    const Tokens tokens = vit->forward(pixels(height, width));
    const Grid grid = {height / 8, width / 8};
    EXPECT_EQ(tokens.grid, grid);
    EXPECT_EQ(tokens.prefix, 1);
    EXPECT_EQ(tokens.x.sizes(), (std::vector<int64_t>{2, 1 + grid[0] * grid[1], 16}));
    EXPECT_EQ(tokens.body().size(1), grid[0] * grid[1]);
    EXPECT_TRUE(torch::isfinite(tokens.x).all().item<bool>());
  }
}

TEST(Vit, PixelsBeyondTheLastWholePatchAreLeftOut) {
  const torch::NoGradGuard no_grad;
  const auto vit = made<Vit>(small());
  const Tensor picture = pixels(29, 35);
  EXPECT_LT(distance(vit->forward(picture).x, vit->forward(picture.narrow(2, 0, 24).narrow(3, 0, 32)).x), 1e-5);
}

TEST(Vit, ASampleDoesNotDependOnItsBatch) {
  const torch::NoGradGuard no_grad;
  const auto vit = made<Vit>(small());
  const Tensor picture = pixels(24, 32, 3);
  EXPECT_LT(distance(vit->forward(picture).x.narrow(0, 1, 1), vit->forward(picture.narrow(0, 1, 1)).x), 1e-5);
}

TEST(Vit, WhatIsNoPictureIsAnError) {
  const auto vit = made<Vit>(small());
  EXPECT_THAT(error_of([&] { vit->forward(torch::zeros({2, 1, 24, 32})); }), ::testing::HasSubstr("B x 3 x H x W"));
  EXPECT_THROW(vit->forward(torch::zeros({3, 24, 32})), Error);
  EXPECT_THROW(vit->forward(torch::zeros({2, 3, 7, 32})), Error) << "smaller than one patch";
}

TEST(Vit, OptionsThatMakeNoSenseAreErrors) {
  VitOptions options = small();
  options.heads = 3;
  EXPECT_THROW(Vit vit(options), Error);
  options = small(), options.patch = {0, 8};
  EXPECT_THROW(Vit vit(options), Error);
  options = small(), options.image = {4, 32};
  EXPECT_THROW(Vit vit(options), Error);
  options = small(), options.image = {24};
  EXPECT_THROW(Vit vit(options), Error);
  options = small(), options.activation = "gelo";
  EXPECT_THROW(Vit vit(options), Error);
}

TEST(Vit, GradientsReachEveryParameterOfEveryVariation) {
  VitOptions registers = small(), clip = small(), bare = small(), fixed = small();
  registers.registers = 3, registers.prefix_positions = false, registers.layer_scale = 0.5;
  clip.pre_norm = true, clip.patch_bias = false, clip.qkv_bias = false, clip.antialias_positions = true;
  bare.class_token = false, bare.final_norm = false;
  fixed.fixed_positions = true;
  for (const VitOptions& options : {small(), registers, clip, bare, fixed}) {
    const auto vit = made<Vit>(options);
    testing::expect_gradients(*vit, vit->forward(pixels(24, 32)).x);
    testing::expect_gradients(*vit, vit->forward(pixels(40, 16)).x);
  }
}

TEST(Vit, DropPathAndDropoutAreOffOutsideTraining) {
  const torch::NoGradGuard no_grad;
  VitOptions options = small();
  options.drop_path = 0.9, options.dropout = 0.5;
  EXPECT_TRUE(
      torch::equal(made<Vit>(options)->forward(pixels(24, 32)).x, made<Vit>(small())->forward(pixels(24, 32)).x));
}

TEST(Vit, BlocksAndTheirAttentionCanBeTapped) {
  const torch::NoGradGuard no_grad;
  const auto vit = made<Vit>(small());
  Taps taps(*vit, {"embed", "blocks.0", "blocks.1", "blocks.1.attention.weights", "norm"});
  const Tokens tokens = vit->forward(pixels(24, 32));
  EXPECT_EQ(taps.all().size(), 5u);
  EXPECT_TRUE(torch::equal(taps.at("norm"), tokens.x));
  EXPECT_GT(distance(taps.at("blocks.0"), taps.at("blocks.1")), 1e-3);
  const Tensor weights = taps.at("blocks.1.attention.weights");
  EXPECT_EQ(weights.sizes(), (std::vector<int64_t>{2, 2, 13, 13}));
  EXPECT_LT(distance(weights.sum(-1), torch::ones({2, 2, 13})), 1e-5);
  EXPECT_GE(weights.min().item<float>(), 0);
}

TEST(Vit, EmbeddingThenEncodingIsForward) {
  const torch::NoGradGuard no_grad;
  const auto vit = made<Vit>(small());
  const Tensor picture = pixels(24, 32);
  EXPECT_TRUE(torch::equal(vit->encode(vit->embed(picture)).x, vit->forward(picture).x));
  EXPECT_TRUE(torch::equal(vit->prepend_prefix(vit->embed_patches(picture)).x, vit->embed(picture).x));
}

TEST(HybridVit, ReadsPicturesOfAnySize) {
  const torch::NoGradGuard no_grad;
  for (const int64_t depth : {0, 2}) {
    const auto encoder = made<HybridVit>(small_hybrid(depth));
    EXPECT_EQ(encoder->width(), depth ? 16 : 12);
    for (const auto& [height, width] : {std::pair{32, 32}, {1, 1}, {7, 13}, {33, 31}, {64, 8}}) {
      const Tokens tokens = encoder->forward(pixels(height, width));
      const Grid grid = {(height + 7) / 8, (width + 7) / 8};
      EXPECT_EQ(tokens.grid, grid) << height << " x " << width;
      EXPECT_EQ(tokens.x.sizes(), (std::vector<int64_t>{2, grid[0] * grid[1], encoder->width()}));
      EXPECT_TRUE(torch::isfinite(tokens.x).all().item<bool>());
    }
  }
}

TEST(HybridVit, ASampleDoesNotDependOnItsBatchOutsideTraining) {
  const torch::NoGradGuard no_grad;
  const auto encoder = made<HybridVit>(small_hybrid(1));
  const Tensor picture = pixels(32, 32, 3);
  EXPECT_LT(distance(encoder->forward(picture).x.narrow(0, 2, 1), encoder->forward(picture.narrow(0, 2, 1)).x), 1e-4);
}

TEST(HybridVit, GradientsReachEveryParameter) {
  for (const int64_t depth : {0, 2}) {
    const auto encoder = made<HybridVit>(small_hybrid(depth));
    encoder->train();
    testing::expect_gradients(*encoder, encoder->forward(pixels(32, 32)).x);
  }
}

TEST(HybridVit, AFreshResidualBranchBeginsAsNothing) {
  const torch::NoGradGuard no_grad;
  ResidualBlock block(4, 4, 1, 0);
  block.eval();
  const Tensor x = torch::randn({2, 4, 5, 5});
  EXPECT_TRUE(torch::equal(block.forward(x), torch::relu(x)));
}

TEST(HybridVit, StagesMustAgree) {
  HybridVitOptions options = small_hybrid(0);
  options.blocks = {1};
  EXPECT_THROW(HybridVit encoder(options), Error);
  EXPECT_THROW(made<HybridVit>(small_hybrid(0))->forward(torch::zeros({1, 4, 32, 32})), Error);
}

VitMaeOptions small_mae() {
  VitMaeOptions options{
      .encoder = small(), .decoder_dim = 12, .decoder_depth = 1, .decoder_heads = 2, .decoder_ffn = 16};
  options.encoder.image = {32, 32};
  options.encoder.fixed_positions = true;
  return options;
}

TEST(VitMae, PatchesPutTogetherAreThePicture) {
  const auto mae = made<VitMae>(small_mae());
  const Tensor picture = pixels(32, 32);
  EXPECT_EQ(mae->patchify(picture).sizes(), (std::vector<int64_t>{2, 16, 192}));
  EXPECT_TRUE(torch::equal(mae->unpatchify(mae->patchify(picture)), picture));
}

TEST(VitMae, TheNoiseDecidesWhichPatchesAreSeen) {
  const torch::NoGradGuard no_grad;
  const auto mae = made<VitMae>(small_mae());
  at::manual_seed(12);
  const Tensor picture = pixels(32, 32), noise = torch::rand({2, 16});
  const auto out = mae->forward(picture, noise);
  EXPECT_TRUE(torch::equal(out.mask.sum(1), torch::full({2}, 12.F)));
  const Tensor threshold = std::get<0>(noise.sort(1)).select(1, 4).unsqueeze(1);
  EXPECT_TRUE(torch::equal(out.mask, noise.ge(threshold).to(torch::kFloat32)));
  // What is masked cannot be seen: other pixels there change no prediction.
  const Tensor hidden = mae->unpatchify(out.mask.unsqueeze(-1).expand({2, 16, 192}).contiguous());
  const auto other = mae->forward(picture + 5 * hidden, noise);
  EXPECT_LT(distance(other.pixels, out.pixels), 1e-5);
  EXPECT_GT(std::abs((other.loss - out.loss).item<float>()), 1e-3);
}

TEST(VitMae, ThePerfectPredictionHasNoLoss) {
  const auto mae = made<VitMae>(small_mae());
  const Tensor picture = pixels(32, 32), mask = torch::ones({2, 16});
  EXPECT_EQ(mae->loss(picture, mae->patchify(picture), mask).item<float>(), 0);
}

TEST(VitMae, GradientsReachEveryParameterAndNoFixedPosition) {
  const auto mae = made<VitMae>(small_mae());
  at::manual_seed(13);
  testing::expect_gradients(*mae, mae->forward(pixels(32, 32), torch::rand({2, 16})).pixels);
  EXPECT_FALSE(mae->named_parameters()["encoder.positions"].requires_grad());
}

TEST(VitMae, NoiseOfAnotherShapeIsAnError) {
  EXPECT_THROW(made<VitMae>(small_mae())->forward(pixels(32, 32), torch::rand({2, 15})), Error);
}

TEST(Encoders, AreBuiltByKind) {
  EXPECT_THAT(encoders().kinds(), ::testing::IsSupersetOf({"hybrid-vit", "vit"}));
  Json options = write_options(small());
  options["kind"] = "vit";
  EXPECT_EQ(encoders().make(options, "encoder")->width(), 16);
  options["ptach"] = 3;
  EXPECT_THAT(error_of([&] { encoders().make(options, "encoder"); }),
              ::testing::HasSubstr("encoder: unknown key 'ptach'; did you mean 'patch'?"));
}

TEST(ImageClassifier, ADistillationHeadTakesPartInTheMean) {
  const torch::NoGradGuard no_grad;
  VitOptions vit = small();
  vit.registers = 1;
  ImageClassifierOptions options{.encoder = write_options(vit), .distillation = true, .classes = 5};
  options.encoder["kind"] = "vit";
  const auto model = made<ImageClassifier>(options);
  Taps taps(*model, {"head", "distillation_head"});
  const Tensor logits = model->forward(pixels(24, 32));
  EXPECT_EQ(logits.sizes(), (std::vector<int64_t>{2, 5}));
  EXPECT_LT(distance(logits, (taps.at("head") + taps.at("distillation_head")) / 2), 1e-6);
}

}  // namespace
}  // namespace tessera
