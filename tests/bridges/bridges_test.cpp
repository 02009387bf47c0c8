// What every bridge promises, and what each of them is.
#include <gmock/gmock.h>

#include "bridges/perceiver.h"
#include "bridges/projection.h"
#include "layers/promises.h"
#include "support/scratch.h"

namespace tessera {
namespace {

using testing::distance;
using testing::error_of;
using testing::expect_gradients;
using ::testing::HasSubstr;
using testing::randomise;

Tokens visual(int64_t batch, int64_t length) {
  at::manual_seed(3);
  Tokens tokens;
  tokens.x = torch::randn({batch, length, 12});
  return tokens;
}

const std::vector<Json>& recipes() {
  static const std::vector<Json> all = {
      {{"kind", "linear"}, {"dim", 12}, {"width", 20}},
      {{"kind", "linear"}, {"dim", 12}, {"width", 20}, {"bias", false}},
      {{"kind", "mlp"}, {"dim", 12}, {"width", 20}},
      {{"kind", "mlp"}, {"dim", 12}, {"hidden", 7}, {"width", 20}, {"activation", "silu"}},
      {{"kind", "perceiver"},
       {"dim", 12},
       {"projection", 9},
       {"width", 20},
       {"latents", 3},
       {"depth", 2},
       {"heads", 4},
       {"head_dim", 6},
       {"kv_heads", 2}}};
  return all;
}

std::shared_ptr<Bridge> make(const Json& recipe) {
  auto bridge = bridges().make(recipe, "bridge");
  randomise(*bridge);
  bridge->eval();
  return bridge;
}

TEST(Bridge, MakesAsManyTokensOfItsWidthAsItSays) {
  for (const Json& recipe : recipes()) {
    const auto bridge = make(recipe);
    EXPECT_EQ(bridge->width(), 20);
    for (const int64_t length : {1, 5, 9}) {
      const Tokens made = bridge->forward(visual(2, length));
      EXPECT_EQ(made.x.sizes(), (std::vector<int64_t>{2, bridge->length(length), 20})) << recipe;
    }
  }
}

TEST(Bridge, EachPictureIsBridgedByItself) {
  const torch::NoGradGuard no_grad;
  for (const Json& recipe : recipes()) {
    const auto bridge = make(recipe);
    const Tokens both = visual(2, 6);
    for (int64_t row = 0; row < 2; ++row) {
      const Tokens one = both.with(both.x.narrow(0, row, 1));
      EXPECT_LT(distance(bridge->forward(one).x, bridge->forward(both).x.narrow(0, row, 1)), 1e-5) << recipe;
    }
  }
}

TEST(Bridge, EveryParameterLearns) {
  for (const Json& recipe : recipes()) {
    const auto bridge = make(recipe);
    expect_gradients(*bridge, bridge->forward(visual(2, 6)).x);
  }
}

TEST(Bridge, ATextThatNobodyReadsIsRefused) {
  const TextBatch text{torch::ones({2, 3}, torch::kInt64), {}, {}};
  for (const Json& recipe : recipes())
    EXPECT_THAT(error_of([&] { make(recipe)->forward(visual(2, 6), &text); }), HasSubstr("reads none")) << recipe;
}

TEST(Perceiver, TokensThatAreNotRealChangeNothing) {
  const torch::NoGradGuard no_grad;
  const auto bridge = make(recipes().back());
  Tokens padded = visual(2, 8);
  padded.mask = torch::arange(8).lt(5).unsqueeze(0).expand({2, 8});
  const Tokens alone = visual(2, 8).with(visual(2, 8).x.narrow(1, 0, 5));
  EXPECT_LT(distance(bridge->forward(padded).x, bridge->forward(alone).x), 1e-5);
}

TEST(Perceiver, TheOrderOfThePictureTokensDoesNotMatter) {
  const torch::NoGradGuard no_grad;
  const auto bridge = make(recipes().back());
  const Tokens tokens = visual(1, 8);
  EXPECT_LT(distance(bridge->forward(tokens.with(tokens.x.flip(1))).x, bridge->forward(tokens).x), 1e-5);
}

TEST(Perceiver, HeadsMustShareKeysEvenly) {
  Json recipe = recipes().back();
  recipe["kv_heads"] = 3;
  EXPECT_THAT(error_of([&] { make(recipe); }), HasSubstr("4 heads cannot share 3"));
}

}  // namespace
}  // namespace tessera
