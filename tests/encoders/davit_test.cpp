#include "encoders/davit.h"

#include <gmock/gmock.h>

#include "layers/grid.h"
#include "layers/promises.h"
#include "support/scratch.h"

namespace tessera {
namespace {

using testing::distance;
using testing::error_of;

DavitOptions small() {
  DavitOptions o;
  o.dims = {8, 12, 16}, o.depths = {1, 2, 1}, o.heads = {2, 3, 4}, o.groups = {2, 2, 4};
  o.kernels = {7, 3, 3}, o.strides = {4, 2, 2}, o.paddings = {3, 1, 1}, o.pre_norm = {false, true, true};
  o.window = 3, o.ffn_ratio = 2;
  return o;
}

std::shared_ptr<Davit> made(const DavitOptions& options) {
  auto davit = std::make_shared<Davit>(options);
  testing::randomise(*davit, 0.2);
  davit->eval();
  return davit;
}

Tensor pixels(int64_t height, int64_t width, int64_t batch = 2) {
  at::manual_seed(11);
  return torch::randn({batch, 3, height, width});
}

TEST(Davit, ReadsPicturesOfAnySize) {
  const torch::NoGradGuard no_grad;
  const auto davit = made(small());
  for (const auto& [height, width] : {std::pair{48, 48}, {1, 1}, {17, 33}, {50, 20}}) {
    const Tokens tokens = davit->forward(pixels(height, width));
    const Grid grid = {(height + 15) / 16, (width + 15) / 16};
    EXPECT_EQ(tokens.grid, grid) << height << " x " << width;
    EXPECT_EQ(tokens.x.sizes(), (std::vector<int64_t>{2, grid[0] * grid[1], 16}));
    EXPECT_TRUE(torch::isfinite(tokens.x).all().item<bool>());
  }
}

TEST(Davit, ASampleDoesNotDependOnItsBatch) {
  const torch::NoGradGuard no_grad;
  const auto davit = made(small());
  const Tensor picture = pixels(40, 56, 3);
  EXPECT_LT(distance(davit->forward(picture).x.narrow(0, 1, 1), davit->forward(picture.narrow(0, 1, 1)).x), 1e-4);
}

TEST(Davit, GradientsReachEveryParameter) {
  DavitOptions plain = small();
  plain.qkv_bias = false, plain.pre_norm = {true, false, false};
  for (const DavitOptions& options : {small(), plain}) {
    const auto davit = made(options);
    testing::expect_gradients(*davit, davit->forward(pixels(40, 56)).x);
  }
}

TEST(Davit, ChannelsCarryWhatTheWindowsDoNot) {
  // With windows of one token and kernels that see one place, only attention of channels reaches across the picture.
  const torch::NoGradGuard no_grad;
  DavitOptions options = small();
  options.window = 1, options.kernels = {1, 1, 1}, options.strides = {1, 1, 1}, options.paddings = {0, 0, 0};
  const auto davit = made(options);
  for (auto& item : davit->named_parameters())
    if (item.key().find("position") != std::string::npos) item.value().zero_();
  Tensor picture = pixels(4, 5);
  const Tensor before = davit->forward(picture).x;
  picture.select(2, 0).select(2, 0) += 30;
  const Tensor change = (davit->forward(picture).x - before).abs().sum(-1);  // B x L
  EXPECT_GT(change.min().item<double>(), 1e-5);
  for (auto& item : davit->named_parameters())
    if (item.key().find("channel") != std::string::npos && item.key().find("attention") != std::string::npos)
      item.value().zero_();
  const Tensor alone = davit->forward(picture).x;
  picture.select(2, 0).select(2, 0) += 30;
  EXPECT_LT((davit->forward(picture).x - alone).narrow(1, 1, 19).abs().max().item<double>(), 1e-6);
}

TEST(Davit, DropPathIsOffOutsideTraining) {
  const torch::NoGradGuard no_grad;
  DavitOptions options = small();
  options.drop_path = 0.9;
  EXPECT_TRUE(torch::equal(made(options)->forward(pixels(24, 32)).x, made(small())->forward(pixels(24, 32)).x));
}

TEST(Davit, StagesCanBeTapped) {
  const torch::NoGradGuard no_grad;
  const auto davit = made(small());
  Taps taps(*davit, {"stages.0", "stages.1", "map", "stages.1.spatial.1"});
  const Tokens tokens = davit->forward(pixels(48, 32));
  EXPECT_EQ(taps.at("stages.0").sizes(), (std::vector<int64_t>{2, 8, 12, 8}));
  EXPECT_EQ(taps.at("stages.1").sizes(), (std::vector<int64_t>{2, 12, 6, 4}));
  EXPECT_EQ(taps.at("stages.1.spatial.1").sizes(), (std::vector<int64_t>{2, 24, 12}));
  EXPECT_TRUE(torch::equal(taps.at("map"), as_map(tokens)));
}

TEST(Davit, WhatDoesNotFitIsAnError) {
  DavitOptions options = small();
  options.heads = {2, 3};
  EXPECT_THAT(error_of([&] { made(options); }), ::testing::HasSubstr("different lengths"));
  options = small(), options.groups = {2, 5, 4};
  EXPECT_THROW(made(options), Error);
  EXPECT_THROW(made(small())->forward(torch::zeros({1, 4, 32, 32})), Error);
  options = small(), options.paddings = {0, 0, 0};
  EXPECT_THAT(error_of([&] { made(options)->forward(pixels(8, 8)); }), ::testing::HasSubstr("too small"));
}

TEST(Davit, IsBuiltByKind) {
  Json options = write_options(small());
  options["kind"] = "davit";
  EXPECT_EQ(encoders().make(options, "encoder")->width(), 16);
}

TEST(Davit, BothFamiliesOfNamesReachEveryParameter) {
  const auto davit = made(small());
  for (const bool original : {false, true})
    for (const auto& item : davit->named_parameters()) {
      const auto published = davit_names(original).published(item.key());
      ASSERT_EQ(published.size(), 1u) << item.key();
      EXPECT_EQ(davit_names(original).place(published[0].first)->path, item.key());
    }
  EXPECT_EQ(davit_names(true).published("stages.1.channel.0.ffn.up.bias")[0].first,
            "blocks.1.0.channel_block.ffn.fn.net.fc1.bias");
}

}  // namespace
}  // namespace tessera
