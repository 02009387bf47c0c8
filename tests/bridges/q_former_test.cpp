#include "bridges/q_former.h"

#include <gmock/gmock.h>

#include "layers/promises.h"
#include "support/scratch.h"

namespace tessera {
namespace {

using testing::distance;
using testing::error_of;

constexpr double kNear = 1e-5;

QFormerBridgeOptions small(bool reads_text) {
  QFormerBridgeOptions o;
  o.queries = 3, o.width = 20;
  o.former.dim = 12, o.former.depth = 3, o.former.heads = 3, o.former.ffn = 16, o.former.visual_dim = 10;
  o.former.reads_text = reads_text, o.former.vocabulary = 30, o.former.positions = 8;
  return o;
}

std::shared_ptr<QFormerBridge> made(const QFormerBridgeOptions& options) {
  auto bridge = std::make_shared<QFormerBridge>(options);
  testing::randomise(*bridge);
  bridge->eval();
  return bridge;
}

Tokens visual(int64_t pictures = 2, int64_t length = 7) {
  at::manual_seed(31);
  Tokens tokens;
  tokens.x = torch::randn({pictures, length, 10});
  tokens.prefix = 1;
  return tokens;
}

TextBatch instruction(int64_t pictures = 2) {
  at::manual_seed(32);
  return {torch::randint(0, 30, {pictures, 5}, torch::kInt64), {}, {}};
}

TEST(QFormer, MakesAsManyTokensAsThereAreQueries) {
  const torch::NoGradGuard no_grad;
  const TextBatch text = instruction();
  for (const int64_t length : {1, 7, 20}) {
    EXPECT_EQ(made(small(false))->forward(visual(2, length)).x.sizes(), (std::vector<int64_t>{2, 3, 20}));
    EXPECT_EQ(made(small(true))->forward(visual(2, length), &text).x.sizes(), (std::vector<int64_t>{2, 3, 20}));
  }
}

TEST(QFormer, ThePicturesTokensMayComeInAnyOrder) {
  const torch::NoGradGuard no_grad;
  const auto bridge = made(small(false));
  const Tokens tokens = visual();
  const Tokens turned = tokens.with(tokens.x.flip(1));
  EXPECT_LT(distance(bridge->forward(turned).x, bridge->forward(tokens).x), kNear);
}

TEST(QFormer, WhatIsMaskedOfThePictureIsNotSeen) {
  const torch::NoGradGuard no_grad;
  const auto bridge = made(small(false));
  Tokens padded = visual(), alone = visual();
  padded.mask = torch::arange(7).lt(4).unsqueeze(0).expand({2, 7});
  alone.x = alone.x.narrow(1, 0, 4);
  EXPECT_LT(distance(bridge->forward(padded).x, bridge->forward(alone).x), kNear);
}

TEST(QFormer, PaddingOfTheInstructionChangesNothing) {
  const torch::NoGradGuard no_grad;
  const auto bridge = made(small(true));
  TextBatch padded = instruction(), alone = instruction();
  padded.mask = torch::arange(5).lt(3).unsqueeze(0).expand({2, 5});
  alone.ids = alone.ids.narrow(1, 0, 3);
  EXPECT_LT(distance(bridge->forward(visual(), &padded).x, bridge->forward(visual(), &alone).x), kNear);
}

TEST(QFormer, TheInstructionDecidesWhatIsSeen) {
  const torch::NoGradGuard no_grad;
  const auto bridge = made(small(true));
  TextBatch one = instruction(), other = instruction();
  other.ids = (other.ids + 1) % 30;
  EXPECT_GT(distance(bridge->forward(visual(), &one).x, bridge->forward(visual(), &other).x), 1e-4);
}

TEST(QFormer, OnlyEveryNthLayerAttendsToThePicture) {
  QFormerBridgeOptions options = small(false);
  for (const int64_t every : {1, 2, 3}) {
    options.former.cross_every = every;
    const auto names = made(options)->named_parameters();
    for (int64_t layer = 0; layer < 3; ++layer)
      EXPECT_EQ(names.contains("former.layers." + std::to_string(layer) + ".cross.attention.q.weight"),
                layer % every == 0);
  }
}

TEST(QFormer, GradientsReachEveryParameterThatTheQueriesRead) {
  const auto plain = made(small(false));
  testing::expect_gradients(*plain, plain->forward(visual()).x);
  // The text's rows of the last layer go nowhere: what makes them alone is not learned.
  const auto instructed = made(small(true));
  const TextBatch text = instruction();
  for (auto& item : instructed->named_parameters())
    if (item.key().starts_with("former.layers.2.text.")) item.value().requires_grad_(false);
  testing::expect_gradients(*instructed, instructed->forward(visual(), &text).x);
}

TEST(QFormer, QueriesMayBeGivenForEachPicture) {
  const torch::NoGradGuard no_grad;
  QFormer former(small(false).former);
  testing::randomise(former);
  const Tensor queries = torch::randn({2, 4, 12});
  const Tokens both = former.forward(queries, visual());
  Tokens second = visual();
  second.x = second.x.narrow(0, 1, 1);
  EXPECT_LT(distance(former.forward(queries.narrow(0, 1, 1), second).x, both.x.narrow(0, 1, 1)), kNear);
}

TEST(QFormer, WhatDoesNotFitIsAnError) {
  const TextBatch text = instruction();
  const auto plain = made(small(false)), instructed = made(small(true));
  EXPECT_THAT(error_of([&] { plain->forward(visual(), &text); }), ::testing::HasSubstr("reads none"));
  EXPECT_THAT(error_of([&] { instructed->forward(visual()); }), ::testing::HasSubstr("an instruction is missing"));
  EXPECT_THAT(error_of([&] { instructed->forward(visual(3), &text); }),
              ::testing::HasSubstr("2 instructions for 3 pictures"));
  TextBatch longer = text;
  longer.ids = text.ids.repeat({1, 2});
  EXPECT_THAT(error_of([&] { instructed->forward(visual(), &longer); }),
              ::testing::HasSubstr("10 tokens do not fit into the context of 8"));
  Tokens wide = visual();
  wide.x = torch::randn({2, 7, 11});
  EXPECT_THAT(error_of([&] { plain->forward(wide); }), ::testing::HasSubstr("have width 11 and not 10"));
  QFormerBridgeOptions options = small(false);
  options.former.cross_every = 0;
  EXPECT_THROW(made(options), Error);
}

TEST(QFormer, AllFamiliesOfNamesReachEveryParameter) {
  for (const QFormerFiles files : {QFormerFiles::kBlip2, QFormerFiles::kInstructBlip, QFormerFiles::kLavis}) {
    const NameTable names = q_former_names(files);
    QFormer former(small(true).former);
    for (const auto& item : former.named_parameters()) {
      const auto published = names.published(item.key());
      ASSERT_FALSE(published.empty()) << item.key();
      for (const auto& [name, place] : published) EXPECT_EQ(names.place(name)->path, item.key()) << name;
    }
  }
  EXPECT_EQ(q_former_names(QFormerFiles::kLavis).place("encoder.layer.2.crossattention.self.value.bias")->path,
            "layers.2.cross.attention.kv.bias");
  EXPECT_EQ(q_former_names(QFormerFiles::kLavis).published("norm.weight")[0].first, "embeddings.LayerNorm.weight");
}

TEST(QFormer, IsBuiltByKind) {
  Json options = write_options(small(true));
  options["kind"] = "q-former";
  EXPECT_EQ(bridges().make(options, "bridge")->width(), 20);
}

}  // namespace
}  // namespace tessera
