#include <gmock/gmock.h>

#include "language/bert.h"
#include "language/text_transformer.h"
#include "layers/promises.h"
#include "support/scratch.h"

namespace tessera {
namespace {

using testing::distance;
using testing::error_of;
using testing::randomise;

TextTransformerOptions small(bool causal) {
  return {.vocabulary = 50, .context = 12, .dim = 16, .depth = 2, .heads = 2, .ffn = 32, .causal = causal};
}
BertOptions small_bert(bool roberta) {
  return {.vocabulary = 50,
          .dim = 16,
          .depth = 2,
          .heads = 2,
          .ffn = 32,
          .positions = 14,
          .types = 2,
          .padding_id = roberta ? 1 : 0,
          .positions_follow_padding = roberta};
}

template <class T, class Options>
std::shared_ptr<T> made(const Options& options) {
  auto module = std::make_shared<T>(options);
  randomise(*module);
  module->eval();
  return module;
}

/// One text of `length` tokens, filled up to `padded` with `padding`.
TextBatch text(int64_t length, int64_t padded, int64_t padding) {
  at::manual_seed(21);
  const Tensor ids = torch::randint(3, 50, {1, 12}, torch::kInt64).narrow(1, 0, length);
  TextBatch batch;
  batch.ids = torch::cat({ids, torch::full({1, padded - length}, padding, torch::kInt64)}, 1);
  batch.mask = torch::arange(padded).lt(length).unsqueeze(0);
  return batch;
}

std::vector<std::pair<std::shared_ptr<TextEncoder>, int64_t>> all() {
  return {{made<TextTransformer>(small(true)), 0},
          {made<TextTransformer>(small(false)), 0},
          {made<Bert>(small_bert(false)), 0},
          {made<Bert>(small_bert(true)), 1}};
}

TEST(TextEncoders, PaddingDoesNotChangeTheFeatures) {
  const torch::NoGradGuard no_grad;
  for (const auto& [encoder, padding] : all())
    for (const int64_t padded : {8, 12}) {
      const Tensor alone = encoder->forward(text(7, 7, padding)).x;
      const Tokens filled = encoder->forward(text(7, padded, padding));
      EXPECT_LT(distance(filled.x.narrow(1, 0, 7), alone), 1e-5);
      EXPECT_TRUE(filled.mask.defined());
      for (const char* pool : {"first", "mean"})
        EXPECT_LT(distance(pool_text(pool, filled, text(7, padded, padding), 0),
                           pool_text(pool, encoder->forward(text(7, 7, padding)), text(7, 7, padding), 0)),
                  1e-5);
    }
}

TEST(TextEncoders, ATextDoesNotDependOnItsBatch) {
  const torch::NoGradGuard no_grad;
  for (const auto& [encoder, padding] : all()) {
    TextBatch one = text(6, 9, padding), two = one;
    two.ids = torch::cat({one.ids, one.ids.flip(1)}),
    two.mask = torch::cat({one.mask, torch::ones({1, 9}, torch::kBool)});
    EXPECT_LT(
        distance(encoder->forward(two).x.narrow(0, 0, 1).narrow(1, 0, 6), encoder->forward(one).x.narrow(1, 0, 6)),
        1e-5);
  }
}

TEST(TextEncoders, ALongerTextThanTheContextIsAnError) {
  for (const auto& [encoder, padding] : all()) {
    EXPECT_NO_THROW(encoder->forward({torch::full({1, encoder->context()}, 5, torch::kInt64), {}, {}}));
    const TextBatch longer{torch::full({1, encoder->context() + 1}, 5, torch::kInt64), {}, {}};
    EXPECT_THAT(error_of([&] { encoder->forward(longer); }), ::testing::HasSubstr("do not fit into the context"));
  }
}

TEST(TextEncoders, AnIdOutsideTheVocabularyIsAnError) {
  for (const auto& [encoder, padding] : all())
    for (const int64_t id : {-1, 50, 1 << 20}) {
      TextBatch batch = text(4, 4, padding);
      batch.ids[0][2] = id;
      EXPECT_THAT(error_of([&] { encoder->forward(batch); }),
                  ::testing::HasSubstr("id " + std::to_string(id) + " is outside the vocabulary of 50"));
    }
}

TEST(TextEncoders, IdsThatAreNoMatrixAreAnError) {
  for (const auto& [encoder, padding] : all())
    EXPECT_THROW(encoder->forward({torch::zeros({4}, torch::kInt64), {}, {}}), Error);
}

TEST(TextEncoders, GradientsReachEveryParameter) {
  for (const auto& [encoder, padding] : all())
    testing::expect_gradients(*encoder, encoder->forward(text(7, 9, padding)).x);
}

TEST(TextEncoders, BlocksCanBeTappedAndTheirAttentionSumsToOne) {
  const torch::NoGradGuard no_grad;
  for (const auto& [encoder, padding] : all()) {
    Taps taps(*encoder, {"blocks.1.attention.weights", "blocks.0"});
    encoder->forward(text(7, 9, padding));
    EXPECT_LT(distance(taps.at("blocks.1.attention.weights").sum(-1), torch::ones({1, 2, 9})), 1e-5);
    EXPECT_EQ(taps.at("blocks.0").sizes(), (std::vector<int64_t>{1, 9, 16}));
  }
}

TEST(TextTransformer, ACausalOneDoesNotSeeTheFuture) {
  const torch::NoGradGuard no_grad;
  for (const bool causal : {true, false}) {
    const auto encoder = made<TextTransformer>(small(causal));
    TextBatch before = text(8, 8, 0), after = before;
    after.ids = before.ids.clone();
    after.ids[0][5] = (before.ids[0][5].item<int64_t>() + 1) % 50;
    const Tensor a = encoder->forward(before).x, b = encoder->forward(after).x;
    EXPECT_EQ(torch::equal(a.narrow(1, 0, 5), b.narrow(1, 0, 5)), causal);
    EXPECT_GT(distance(a.narrow(1, 5, 3), b.narrow(1, 5, 3)), 1e-3);
  }
}

TEST(TextTransformer, OrderMatters) {
  const torch::NoGradGuard no_grad;
  const auto encoder = made<TextTransformer>(small(false));
  TextBatch forth = text(6, 6, 0), back = forth;
  back.ids = forth.ids.flip(1);
  EXPECT_GT(distance(encoder->forward(forth).x, encoder->forward(back).x.flip(1)), 1e-3);
}

TEST(Bert, RobertaCountsPositionsFromTheRealTokens) {
  const torch::NoGradGuard no_grad;
  const auto encoder = made<Bert>(small_bert(true));
  TextBatch plain = text(5, 5, 1), left = plain;
  left.ids = torch::cat({torch::ones({1, 3}, torch::kInt64), plain.ids}, 1);  // padding before the text
  left.mask = torch::arange(8).ge(3).unsqueeze(0);
  EXPECT_LT(distance(encoder->forward(left).x.narrow(1, 3, 5), encoder->forward(plain).x), 1e-5);
}

TEST(Bert, TypesMatterAndAreZeroByDefault) {
  const torch::NoGradGuard no_grad;
  const auto encoder = made<Bert>(small_bert(false));
  TextBatch batch = text(5, 5, 0);
  const Tensor without = encoder->forward(batch).x;
  batch.type_ids = torch::zeros({1, 5}, torch::kInt64);
  EXPECT_TRUE(torch::equal(encoder->forward(batch).x, without));
  batch.type_ids = torch::ones({1, 5}, torch::kInt64);
  EXPECT_GT(distance(encoder->forward(batch).x, without), 1e-3);
}

TEST(Bert, ATypeOutsideTheTableIsAnError) {
  const auto encoder = made<Bert>(small_bert(false));
  TextBatch batch = text(5, 5, 0);
  batch.type_ids = torch::full({1, 5}, 2, torch::kInt64);
  EXPECT_THROW(encoder->forward(batch), Error);
}

TEST(MaskedLanguageModel, GradientsReachEveryParameter) {
  const auto model = made<MaskedLanguageModel>(small_bert(false));
  const Tensor logits = model->forward(text(7, 9, 0));
  EXPECT_EQ(logits.sizes(), (std::vector<int64_t>{1, 9, 50}));
  testing::expect_gradients(*model, logits);
}

TEST(PoolText, TakesTheTokenThatItNames) {
  Tokens tokens;
  tokens.x = torch::arange(8, torch::kFloat32).view({2, 4, 1});
  const TextBatch batch{torch::tensor({{4, 9, 2, 2}, {4, 2, 9, 7}}, torch::kInt64), {}, {}};
  const auto pooled = [&](const char* kind, int64_t end = 9) { return pool_text(kind, tokens, batch, end).flatten(); };
  EXPECT_TRUE(torch::equal(pooled("first"), torch::tensor({0.F, 4.F})));
  EXPECT_TRUE(torch::equal(pooled("last"), torch::tensor({3.F, 7.F})));
  EXPECT_TRUE(torch::equal(pooled("mean"), torch::tensor({1.5F, 5.5F})));
  EXPECT_TRUE(torch::equal(pooled("highest-id"), torch::tensor({1.F, 6.F})));
  EXPECT_TRUE(torch::equal(pooled("end", 2), torch::tensor({2.F, 5.F}))) << "the first of several";
  EXPECT_TRUE(torch::equal(pooled("end", 33), torch::tensor({0.F, 4.F}))) << "the first token where there is none";
  EXPECT_THAT(error_of([&] { pooled("lst"); }), ::testing::HasSubstr("did you mean 'last'?"));
}

}  // namespace
}  // namespace tessera
