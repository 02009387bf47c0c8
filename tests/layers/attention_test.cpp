#include "layers/attention.h"

#include <gmock/gmock.h>

#include "layers/promises.h"
#include "support/scratch.h"

namespace tessera {
namespace {

using testing::distance;
using testing::error_of;
using testing::randomise;

std::shared_ptr<Attention> attention(AttentionOptions options = {}) {
  options.dim = 24, options.heads = 3;
  auto mixer = std::make_shared<Attention>(options);
  randomise(*mixer);
  mixer->eval();
  return mixer;
}

Tokens tokens(int64_t batch, int64_t length) {
  at::manual_seed(5);
  Tokens result;
  result.x = torch::randn({batch, length, 24});
  return result;
}

/// True for the first `real` of `length` tokens of one sample.
Tensor first(int64_t real, int64_t length) { return torch::arange(length).lt(real).unsqueeze(0); }

TEST(Attention, MaskedTokensAreAsIfTheyWereNotThere) {
  const torch::NoGradGuard no_grad;
  const auto mixer = attention();
  Tokens all = tokens(1, 9);
  for (const int64_t real : {1, 4, 8, 9}) {
    Tokens padded = all, alone = all;
    padded.mask = first(real, 9);
    alone.x = all.x.narrow(1, 0, real);
    EXPECT_LT(distance(mixer->forward(padded).narrow(1, 0, real), mixer->forward(alone)), 1e-5) << real;
  }
}

TEST(Attention, AMaskOfTruthIsNoMask) {
  const torch::NoGradGuard no_grad;
  const auto mixer = attention();
  Tokens all = tokens(2, 5), masked = all;
  masked.mask = torch::ones({2, 5}, torch::kBool);
  EXPECT_LT(distance(mixer->forward(all), mixer->forward(masked)), 1e-6);
}

TEST(Attention, TokensOfASpanSeeEachOtherWhateverCausalAndWindowSay) {
  const torch::NoGradGuard no_grad;
  const auto both_ways = attention(), causal = attention({.causal = true}),
             window = attention({.causal = true, .window = 2});
  Tokens plain = tokens(2, 6), spanned = plain;
  spanned.span = torch::zeros({2, 6}, torch::kInt64);
  EXPECT_LT(distance(causal->forward(spanned), both_ways->forward(plain)), 1e-6);
  EXPECT_LT(distance(window->forward(spanned), both_ways->forward(plain)), 1e-6);
  spanned.span.fill_(-1);
  EXPECT_LT(distance(causal->forward(spanned), causal->forward(plain)), 1e-6);
}

TEST(Attention, TwoSpansDoNotSeeAheadToEachOther) {
  const torch::NoGradGuard no_grad;
  const auto mixer = attention({.causal = true});
  Tokens before = tokens(1, 7);
  before.span = torch::tensor({0, 0, 0, -1, 1, 1, -1}, torch::kInt64).unsqueeze(0);
  const std::vector<int64_t> sees_until = {2, 2, 2, 3, 5, 5, 6};
  for (int64_t changed = 0; changed < 7; ++changed) {
    const Tokens after = before.with(before.x.clone());
    after.x.select(1, changed).add_(3);
    const Tensor a = mixer->forward(before), b = mixer->forward(after);
    for (int64_t i = 0; i < 7; ++i)
      EXPECT_EQ(distance(a.select(1, i), b.select(1, i)) > 1e-4, changed <= sees_until[static_cast<size_t>(i)])
          << i << changed;
  }
}

TEST(Attention, ASpanMayFollowWhatAStateHasSeen) {
  const torch::NoGradGuard no_grad;
  const auto mixer = attention({.causal = true});
  Tokens whole = tokens(1, 6);
  whole.span = torch::tensor({-1, -1, 0, 0, 0, -1}, torch::kInt64).unsqueeze(0);
  const auto state = mixer->start();
  std::vector<Tensor> pieces;
  for (const auto& [begin, length] : {std::pair{0, 2}, {2, 3}, {5, 1}}) {
    Tokens piece = whole.with(whole.x.narrow(1, begin, length));
    piece.span = whole.span.narrow(1, begin, length);
    pieces.push_back(mixer->step(piece, *state));
  }
  EXPECT_LT(distance(torch::cat(pieces, 1), mixer->forward(whole)), 1e-5);
}

TEST(Attention, CappedScoresAreTheSameFastAndSlow) {
  const auto capped = attention({.causal = true, .cap = 0.7}), large = attention({.cap = 1e4}), none = attention();
  const Tokens all = tokens(2, 20);
  Tensor fast;
  {
    const torch::NoGradGuard no_grad;
    fast = capped->forward(all);
  }
  EXPECT_LT(distance(fast, capped->forward(all)), 1e-5);
  EXPECT_GT(distance(fast, attention({.causal = true})->forward(all)), 1e-3);
  EXPECT_LT(distance(large->forward(all), none->forward(all)), 1e-4) << "far below the cap nothing changes";
}

TEST(Attention, CausalOutputsDoNotSeeTheFuture) {
  const torch::NoGradGuard no_grad;
  const auto mixer = attention({.causal = true});
  const Tokens before = tokens(2, 8);
  for (int64_t changed = 0; changed < 8; ++changed) {
    Tokens after = before.with(before.x.clone());
    after.x.select(1, changed).add_(3);
    const Tensor a = mixer->forward(before), b = mixer->forward(after);
    EXPECT_TRUE(torch::equal(a.narrow(1, 0, changed), b.narrow(1, 0, changed))) << changed;
    EXPECT_GT(distance(a.select(1, changed), b.select(1, changed)), 1e-3) << changed;
  }
}

TEST(Attention, ACausalOutputIsThatOfTheTextSoFar) {
  const torch::NoGradGuard no_grad;
  const auto mixer = attention({.causal = true});
  const Tokens all = tokens(1, 6);
  const Tensor whole = mixer->forward(all);
  for (int64_t length = 1; length <= 6; ++length)
    EXPECT_LT(distance(mixer->forward(all.with(all.x.narrow(1, 0, length))), whole.narrow(1, 0, length)), 1e-5);
}

TEST(Attention, WithoutAMaskOrderDoesNotMatter) {
  const torch::NoGradGuard no_grad;
  const auto mixer = attention();
  const Tokens all = tokens(2, 7);
  const Tensor order = torch::tensor({3, 0, 6, 1, 5, 2, 4}, torch::kInt64);
  EXPECT_LT(
      distance(mixer->forward(all).index_select(1, order), mixer->forward(all.with(all.x.index_select(1, order)))),
      1e-5);
}

TEST(Attention, WeightsAreADistributionOverTheTokensThatMayBeSeen) {
  const torch::NoGradGuard no_grad;
  const auto mixer = attention({.causal = true});
  Tokens padded = tokens(1, 6);
  padded.mask = first(4, 6);
  Taps taps(*mixer, {"weights", "context"});
  mixer->forward(padded);
  const Tensor weights = taps.at("weights");  // 1 x 3 x 6 x 6
  EXPECT_EQ(weights.sizes(), (std::vector<int64_t>{1, 3, 6, 6}));
  EXPECT_LT(distance(weights.sum(-1), torch::ones({1, 3, 6})), 1e-5);
  EXPECT_EQ(weights.triu(1).abs().max().item<float>(), 0);
  EXPECT_EQ(weights.narrow(3, 4, 2).abs().max().item<float>(), 0);
  EXPECT_EQ(taps.at("context").sizes(), (std::vector<int64_t>{1, 6, 24}));
}

TEST(Attention, ASampleWithoutAnyTokenIsFinite) {
  const torch::NoGradGuard no_grad;
  for (const bool causal : {false, true}) {
    Tokens none = tokens(2, 4);
    none.mask = torch::zeros({2, 4}, torch::kBool);
    EXPECT_TRUE(torch::isfinite(attention({.causal = causal})->forward(none)).all().item<bool>());
  }
}

TEST(Attention, MasksAreAlsoTakenAsIntegers) {
  const torch::NoGradGuard no_grad;
  const auto mixer = attention();
  Tokens truth = tokens(1, 6), numbers = truth;
  truth.mask = first(4, 6);
  numbers.mask = truth.mask.to(torch::kInt64);
  EXPECT_TRUE(torch::equal(mixer->forward(truth), mixer->forward(numbers)));
}

TEST(Attention, WithNormedQueriesTheScaleOfTheirProjectionDoesNotMatter) {
  const torch::NoGradGuard no_grad;
  const auto mixer = attention({.qkv_bias = false, .qk_norm = true, .eps = 1e-12});
  const Tokens all = tokens(1, 5);
  const Tensor before = mixer->forward(all);
  mixer->named_parameters()["qkv.weight"].narrow(0, 0, 48).mul_(7);  // queries and keys
  EXPECT_LT(distance(before, mixer->forward(all)), 1e-4);
}

/// Several sequences in one row, with or without padding behind them, in learned, rotary and windowed attention.
TEST(Attention, PackedSequencesAreAsIfEachWereAlone) {
  const torch::NoGradGuard no_grad;
  for (const auto& options : std::vector<AttentionOptions>{
           {.causal = true}, {.causal = true, .rotary = RotaryOptions{}}, {.causal = true, .window = 2}}) {
    const auto mixer = attention(options);
    Tokens packed = tokens(1, 9);
    packed.at = torch::tensor({0, 1, 2, 3, 0, 1, 2, 0, 0, 0, 0, 0, 0, 1, 1, 1, 0, 0}, torch::kInt64).view({1, 2, 9});
    packed.at = packed.at.transpose(1, 2);
    packed.mask = first(7, 9);
    const Tensor together = mixer->forward(packed);
    for (const auto& [begin, length] : std::vector<std::pair<int64_t, int64_t>>{{0, 4}, {4, 3}}) {
      Tokens alone;
      alone.x = packed.x.narrow(1, begin, length);
      alone.at = packed.at.narrow(1, begin, length).narrow(2, 0, 1);
      EXPECT_LT(distance(mixer->forward(alone), together.narrow(1, begin, length)), 1e-5) << begin;
    }
  }
}

TEST(Attention, HeadsMustDivideTheWidth) {
  EXPECT_THAT(error_of([] { Attention(AttentionOptions{.dim = 24, .heads = 5}); }), ::testing::HasSubstr("24"));
  EXPECT_THROW(Attention(AttentionOptions{.dim = 24, .heads = 0}), Error);
}

TEST(Attention, GradientsReachEveryParameter) {
  const auto mixer = attention({.causal = true});
  testing::expect_gradients(*mixer, mixer->forward(tokens(2, 5)));
}

}  // namespace
}  // namespace tessera
