#include "layers/pool.h"

#include <gmock/gmock.h>

#include "layers/promises.h"
#include "support/scratch.h"

namespace tessera {
namespace {

using testing::distance;
using testing::error_of;
using testing::randomise;

const Json kAttention = {{"kind", "attention"}, {"dim", 16}, {"heads", 2}, {"ffn", 24}};

Tokens tokens(int64_t length = 6) {
  at::manual_seed(9);
  Tokens result;
  result.x = torch::randn({2, length, 16});
  return result;
}

std::shared_ptr<Pool> pool(const Json& options) {
  auto result = pools().make(options, "pool");
  randomise(*result);
  return result;
}

TEST(Pool, FirstAndLastAreWhatTheySay) {
  EXPECT_TRUE(torch::equal(pool({{"kind", "first"}})->forward(tokens()), tokens().x.select(1, 0)));
  EXPECT_TRUE(torch::equal(pool({{"kind", "last"}})->forward(tokens()), tokens().x.select(1, 5)));
}

TEST(Pool, TheMeanLeavesOutPrefixSuffixAndMaskedTokens) {
  Tokens in = tokens();
  in.prefix = 1, in.suffix = 1;
  EXPECT_LT(distance(pool({{"kind", "mean"}})->forward(in), in.x.narrow(1, 1, 4).mean(1)), 1e-6);
  in.mask = torch::tensor({1, 1, 1, 0, 0, 1}, torch::kBool).expand({2, 6});
  EXPECT_LT(distance(pool({{"kind", "mean"}})->forward(in), in.x.narrow(1, 1, 2).mean(1)), 1e-6);
  in.mask = torch::zeros({2, 6}, torch::kBool);
  EXPECT_TRUE(torch::isfinite(pool({{"kind", "mean"}})->forward(in)).all().item<bool>());
}

TEST(Pool, AttentionDoesNotSeeMaskedTokens) {
  const torch::NoGradGuard no_grad;
  const auto head = pool(kAttention);
  Tokens padded = tokens(), alone = tokens();
  padded.mask = torch::arange(6).lt(4).unsqueeze(0).expand({2, 6});
  alone.x = alone.x.narrow(1, 0, 4);
  EXPECT_LT(distance(head->forward(padded), head->forward(alone)), 1e-5);
}

TEST(Pool, AttentionDoesNotCareForTheOrder) {
  const torch::NoGradGuard no_grad;
  const auto head = pool(kAttention);
  const Tensor order = torch::tensor({5, 2, 0, 4, 1, 3}, torch::kInt64);
  EXPECT_LT(distance(head->forward(tokens()), head->forward(tokens().with(tokens().x.index_select(1, order)))), 1e-5);
}

TEST(Pool, AttentionOfOneQueryIsADistribution) {
  const torch::NoGradGuard no_grad;
  const auto head = pool(kAttention);
  Taps taps(*head, {"weights"});
  head->forward(tokens());
  EXPECT_EQ(taps.at("weights").sizes(), (std::vector<int64_t>{2, 2, 1, 6}));
  EXPECT_LT(distance(taps.at("weights").sum(-1), torch::ones({2, 2, 1})), 1e-5);
}

TEST(Pool, GradientsReachEveryParameter) {
  for (const Json& options : {kAttention, Json{{"kind", "mean"}, {"dim", 16}}}) {
    const auto head = pool(options);
    testing::expect_gradients(*head, head->forward(tokens()));
  }
}

TEST(Pool, UnknownKindsAndKeysAreErrors) {
  EXPECT_THAT(error_of([] {
                pools().make({{"kind", "maen"}}, "image_pool");
              }),
              ::testing::HasSubstr("image_pool.kind: unknown value 'maen'"));
  EXPECT_THAT(error_of([] {
                pools().make({{"kind", "attention"}, {"head", 2}}, "image_pool");
              }),
              ::testing::HasSubstr("did you mean 'heads'?"));
  EXPECT_THROW(pools().make(Json::object(), "image_pool"), Error);
}

TEST(Pool, KeysThatAKindDoesNotHaveAreErrors) {
  EXPECT_THROW(pools().make({{"kind", "first"}, {"dim", 16}}, "image_pool"), Error);
  EXPECT_THROW(pools().make({{"kind", "last"}, {"heads", 2}}, "image_pool"), Error);
}

TEST(Pool, OptionsOfTheWrongTypeAreErrors) {
  EXPECT_THROW(pools().make("first", "image_pool"), Error);
  EXPECT_THROW(pools().make({{"kind", 3}}, "image_pool"), Error);
}

}  // namespace
}  // namespace tessera
