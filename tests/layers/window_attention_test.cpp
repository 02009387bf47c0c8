#include "layers/window_attention.h"

#include <gmock/gmock.h>

#include "layers/block.h"
#include "layers/feed_forward.h"
#include "layers/grid.h"
#include "layers/promises.h"
#include "support/scratch.h"

namespace tessera {
namespace {

using testing::distance;
using testing::error_of;
using testing::randomise;

constexpr double kNear = 1e-5;

Tokens picture(int64_t height, int64_t width, int64_t batch = 2) {
  at::manual_seed(6);
  return as_tokens(torch::randn({batch, 12, height, width}));
}

std::shared_ptr<WindowAttention> windowed(int64_t window) {
  auto mixer =
      std::make_shared<WindowAttention>(AttentionOptions{.dim = 12, .heads = 3}, WindowOptions{.window = window});
  randomise(*mixer);
  mixer->eval();
  return mixer;
}

TEST(Grid, AMapAndItsTokensAreTheSame) {
  const Tokens tokens = picture(3, 5);
  EXPECT_EQ(tokens.grid, (Grid{3, 5}));
  const Tensor map = as_map(tokens);
  EXPECT_EQ(map.sizes(), (std::vector<int64_t>{2, 12, 3, 5}));
  EXPECT_TRUE(torch::equal(map.select(2, 1).select(2, 4), tokens.x.select(1, 9)));
  EXPECT_TRUE(torch::equal(as_tokens(map).x, tokens.x));
}

TEST(Grid, AnotherMapLeavesPrefixAndSuffix) {
  Tokens tokens;
  tokens.x = torch::randn({1, 1 + 6 + 2, 4});
  tokens.grid = {2, 3}, tokens.prefix = 1, tokens.suffix = 2;
  const Tokens doubled = with_map(tokens, 2 * as_map(tokens));
  const Tensor factor = torch::tensor({1., 2., 2., 2., 2., 2., 2., 1., 1.}).view({1, 9, 1});
  EXPECT_TRUE(torch::equal(doubled.x, tokens.x * factor.to(torch::kFloat32)));
}

TEST(Grid, TokensWithoutRowsAndColumnsAreAnError) {
  Tokens tokens = picture(2, 3);
  tokens.grid = {};
  EXPECT_THAT(error_of([&] { as_map(tokens); }), ::testing::HasSubstr("6 tokens fill no grid"));
  tokens.grid = {2, 2};
  EXPECT_THROW(as_map(tokens), Error);
}

TEST(WindowAttention, AWindowThatSpansThePictureIsGlobal) {
  const torch::NoGradGuard no_grad;
  const auto mixer = windowed(5);
  const Tokens tokens = picture(5, 5);
  EXPECT_LT(distance(mixer->forward(tokens), mixer->Attention::forward(tokens)), kNear);
}

TEST(WindowAttention, NothingIsSeenBeyondTheWindow) {
  const torch::NoGradGuard no_grad;
  const auto mixer = windowed(3);
  const Tokens before = picture(6, 9);
  Tensor map = as_map(before).clone();
  map.narrow(2, 0, 3).narrow(3, 3, 3) += 1;  // the second window
  const Tensor change = (mixer->forward(as_tokens(map)) - mixer->forward(before)).abs().sum(-1).view({2, 6, 9});
  EXPECT_LT(change.narrow(2, 0, 3).max().item<double>(), kNear);
  EXPECT_LT(change.narrow(2, 6, 3).max().item<double>(), kNear);
  EXPECT_LT(change.narrow(1, 3, 3).max().item<double>(), kNear);
  EXPECT_GT(change.narrow(1, 0, 3).narrow(2, 3, 3).min().item<double>(), 1e-3);
}

TEST(WindowAttention, AGridThatWindowsDoNotDivideIsFilledUpWithZeros) {
  const torch::NoGradGuard no_grad;
  const auto mixer = windowed(4);
  for (const auto& [height, width] : {std::pair{5, 7}, {1, 1}, {4, 9}, {3, 2}}) {
    const Tokens tokens = picture(height, width);
    const int64_t rows = (height + 3) / 4 * 4, columns = (width + 3) / 4 * 4;
    const Tensor filled = torch::constant_pad_nd(as_map(tokens), {0, columns - width, 0, rows - height});
    Tokens whole = as_tokens(filled);
    whole.x = mixer->forward(whole);
    const Tensor expected = as_map(whole).narrow(2, 0, height).narrow(3, 0, width).flatten(2).transpose(1, 2);
    EXPECT_LT(distance(mixer->forward(tokens), expected), kNear) << height << " x " << width;
  }
}

std::shared_ptr<WindowAttention> drawn(const WindowOptions& options) {
  auto mixer = std::make_shared<WindowAttention>(AttentionOptions{.dim = 12, .heads = 3}, options);
  randomise(*mixer);
  mixer->eval();
  return mixer;
}

TEST(WindowAttention, WindowsGoRowByRowAndBack) {
  const Tensor map = torch::arange(2 * 4 * 6).to(torch::kFloat32).view({2, 1, 4, 6});
  const Tensor windows = in_windows(map, 2);
  EXPECT_EQ(windows.sizes(), (std::vector<int64_t>{12, 4, 1}));
  EXPECT_TRUE(torch::equal(windows[1].flatten(), torch::tensor({2., 3., 8., 9.}).to(torch::kFloat32)));
  EXPECT_TRUE(torch::equal(from_windows(windows, 2, 4, 6).squeeze(-1), map.squeeze(1)));
}

TEST(WindowAttention, AShiftIsThatOfTheGrid) {
  // Where nothing is brought together around the edge, shifted windows are plain ones of a grid that begins later.
  const torch::NoGradGuard no_grad;
  const auto plain = drawn({.window = 4, .relative_bias = true});
  const auto shifted = drawn({.window = 4, .shifted = true, .relative_bias = true});
  const Tokens tokens = picture(12, 12);
  const Tensor inner = as_map(tokens).narrow(2, 2, 8).narrow(3, 2, 8);
  const Tensor got = shifted->forward(tokens).view({2, 12, 12, 12}).narrow(1, 2, 8).narrow(2, 2, 8);
  EXPECT_LT(distance(got, plain->forward(as_tokens(inner)).view({2, 8, 8, 12})), kNear);
}

TEST(WindowAttention, WhatTheShiftBringsTogetherDoesNotMeet) {
  const torch::NoGradGuard no_grad;
  const auto mixer = drawn({.window = 4, .shifted = true});
  const Tokens before = picture(8, 8);
  Tensor map = as_map(before).clone();
  map.narrow(2, 7, 1).narrow(3, 7, 1) += 1;  // shares a window with the other corners
  const Tensor change = (mixer->forward(as_tokens(map)) - mixer->forward(before)).abs().sum(-1).view({2, 8, 8});
  EXPECT_GT(change.narrow(1, 6, 2).narrow(2, 6, 2).min().item<double>(), 1e-3);
  EXPECT_LT(change.narrow(1, 0, 6).max().item<double>(), kNear);
  EXPECT_LT(change.narrow(2, 0, 6).max().item<double>(), kNear);
}

TEST(WindowAttention, TheBiasGoesByTheOffsetAlone) {
  const torch::NoGradGuard no_grad;
  const auto mixer = drawn({.window = 3, .relative_bias = true});
  Taps taps(*mixer, {"bias"});
  mixer->forward(picture(3, 6));
  const Tensor bias = taps.at("bias");  // 1 x heads x 9 x 9
  EXPECT_EQ(bias.sizes(), (std::vector<int64_t>{1, 3, 9, 9}));
  const auto at = [&](int64_t from, int64_t to) { return bias[0][1][from][to].item<float>(); };
  EXPECT_EQ(at(0, 1), at(4, 5));
  EXPECT_EQ(at(8, 4), at(4, 0));
  EXPECT_NE(at(0, 1), at(1, 0));
  EXPECT_NE(at(2, 3), at(0, 1)) << "the end of a row is not before the next one";
  const Tensor table = mixer->named_parameters()["bias.weight"];  // row (dy + 2) * 5 + dx + 2
  EXPECT_EQ(at(5, 1), table[(1 + 2) * 5 + 1 + 2][1].item<float>());
}

TEST(WindowAttention, ASmallGridHasTheMiddleOfTheBiasTable) {
  const torch::NoGradGuard no_grad;
  const auto mixer = drawn({.window = 4, .shifted = true, .shrink = true, .relative_bias = true});
  Taps taps(*mixer, {"bias", "weights"});
  mixer->forward(picture(2, 6));
  EXPECT_EQ(taps.at("weights").sizes(), (std::vector<int64_t>{6, 3, 4, 4})) << "windows of 2, not shifted";
  const Tensor table = mixer->named_parameters()["bias.weight"];
  EXPECT_EQ(taps.at("bias")[0][0][0][3].item<float>(), table[(-1 + 3) * 7 - 1 + 3][0].item<float>());
}

TEST(WindowAttention, GradientsReachTheBias) {
  const auto mixer = drawn({.window = 3, .shifted = true, .relative_bias = true});
  testing::expect_gradients(*mixer, mixer->forward(picture(5, 7)));
}

TEST(WindowAttention, WhatHasNoPlaceIsAnError) {
  const auto mixer = windowed(2);
  Tokens tokens = picture(2, 3);
  tokens.prefix = 1;
  EXPECT_THROW(mixer->forward(tokens), Error);
  EXPECT_THROW(windowed(0), Error);
}

TEST(ChannelAttention, TokensMayComeInAnyOrder) {
  const torch::NoGradGuard no_grad;
  ChannelAttention mixer({.dim = 12, .groups = 3});
  randomise(mixer);
  const Tokens tokens = picture(3, 4);
  const Tensor order = torch::randperm(12, torch::kInt64);
  const Tensor mixed = mixer.forward(tokens.with(tokens.x.index_select(1, order)));
  EXPECT_LT(distance(mixed, mixer.forward(tokens).index_select(1, order)), kNear);
}

TEST(ChannelAttention, EachChannelIsAMeanOfItsGroup) {
  const torch::NoGradGuard no_grad;
  ChannelAttention mixer({.dim = 12, .groups = 3});
  randomise(mixer);
  Taps taps(mixer, {"weights", "context", "qkv"});
  mixer.forward(picture(3, 4));
  const Tensor& weights = taps.at("weights");
  EXPECT_EQ(weights.sizes(), (std::vector<int64_t>{2, 3, 4, 4}));
  EXPECT_LT(distance(weights.sum(-1), torch::ones({2, 3, 4})), kNear);
  const Tensor values = taps.at("qkv").narrow(2, 24, 12).unflatten(2, {3, 4});  // B x L x groups x channels
  EXPECT_LT(distance(torch::einsum("bgij,blgj->blgi", {weights, values}).flatten(2), taps.at("context")), kNear);
}

TEST(ChannelAttention, GroupsDivideTheWidth) {
  EXPECT_THROW(ChannelAttention({.dim = 12, .groups = 5}), Error);
  EXPECT_THROW(ChannelAttention({.dim = 12, .groups = 0}), Error);
}

TEST(Attention, ABiasOfTheKeysChangesNothing) {
  // It adds the same to all scores of a query.
  const torch::NoGradGuard no_grad;
  Attention with({.dim = 12, .heads = 3}), without({.dim = 12, .heads = 3, .key_bias = false});
  randomise(with);
  auto from = with.named_parameters(), to = without.named_parameters();
  EXPECT_FALSE(to.contains("qkv.bias"));
  for (const char* name : {"qkv.weight", "proj.weight", "proj.bias"}) to[name].copy_(from[name]);
  to["query_bias"].copy_(from["qkv.bias"].narrow(0, 0, 12));
  to["value_bias"].copy_(from["qkv.bias"].narrow(0, 24, 12));
  const Tokens tokens = picture(3, 4);
  EXPECT_LT(distance(with.forward(tokens), without.forward(tokens)), kNear);
}

TEST(Attention, WithoutABiasOfTheKeysGradientsReachEveryParameter) {
  Attention mixer({.dim = 12, .heads = 3, .key_bias = false});
  randomise(mixer);
  testing::expect_gradients(mixer, mixer.forward(picture(3, 4)));
}

TEST(Block, EitherPartMayBeMissing) {
  const torch::NoGradGuard no_grad;
  for (const bool post_norm : {false, true}) {
    const BlockOptions options{.dim = 12, .post_norm = post_norm, .layer_scale = 0.5};
    const auto mixer = std::make_shared<Attention>(AttentionOptions{.dim = 12, .heads = 3});
    const auto ffn = std::make_shared<Mlp>(12, 16, "gelu");
    Block whole(options, mixer, ffn), mixes(options, mixer, nullptr), transforms(options, nullptr, ffn);
    randomise(whole);
    for (Block* part : {&mixes, &transforms})
      for (auto& item : part->named_parameters()) item.value().copy_(whole.named_parameters()[item.key()]);
    const Tokens tokens = picture(3, 4);
    EXPECT_LT(distance(transforms.forward(mixes.forward(tokens)).x, whole.forward(tokens).x), kNear);
  }
}

TEST(Block, AConvolutionTellsTokensWhereTheyStand) {
  const torch::NoGradGuard no_grad;
  const auto made = [](int64_t kernel) {
    auto block = std::make_shared<Block>(BlockOptions{.dim = 12, .position_kernel = kernel},
                                         std::make_shared<Attention>(AttentionOptions{.dim = 12, .heads = 3}),
                                         std::make_shared<Mlp>(12, 16, "gelu"));
    randomise(*block);
    return block;
  };
  const Tokens tokens = picture(3, 4);
  const Tensor order = torch::arange(11, -1, -1, torch::kInt64);
  const Tokens turned = tokens.with(tokens.x.index_select(1, order));
  const auto without = made(0), with = made(3);
  EXPECT_LT(distance(without->forward(turned).x, without->forward(tokens).x.index_select(1, order)), kNear);
  EXPECT_GT(distance(with->forward(turned).x, with->forward(tokens).x.index_select(1, order)), 1e-2);
  // A kernel of zeros adds nothing.
  auto parameters = with->named_parameters();
  for (auto& item : parameters)
    item.key().starts_with("position") ? item.value().zero_()
                                       : item.value().copy_(without->named_parameters()[item.key()]);
  EXPECT_LT(distance(with->forward(tokens).x, without->forward(tokens).x), kNear);
}

TEST(Block, GradientsReachTheConvolutions) {
  Block block(BlockOptions{.dim = 12, .position_kernel = 3}, windowed(2), std::make_shared<Mlp>(12, 16, "gelu"));
  randomise(block);
  testing::expect_gradients(block, block.forward(picture(3, 5)).x);
}

}  // namespace
}  // namespace tessera
