#include "decode/generate.h"

#include <gmock/gmock.h>

#include "language/language_models.h"
#include "support/scratch.h"

namespace tessera {
namespace {

using testing::some_ids;
using testing::Subject;
using testing::subjects;

Tensor made_by(const Subject& subject, const TextBatch& text, const GenerateOptions& options) {
  LanguageState state = subject.start(text.ids.size(0));
  return generate(*subject.model, text, state, options);
}

/// Beyond 7 tokens, in the middle of what it makes, it turns all tokens by other angles.
Subject longrope() {
  DecoderOptions options = testing::small_llama();
  options.rotary.scaling = "longrope", options.rotary.factor = 4, options.rotary.original_length = 7;
  options.rotary.short_factor = {1, 1, 1}, options.rotary.long_factor = {1, 3, 9};
  return testing::subject("longrope", std::make_shared<Decoder>(options));
}

TEST(Generate, IsTheLikeliestTokenOfTheWholeTextAgainAndAgain) {
  const torch::NoGradGuard no_grad;
  auto all = subjects();
  all.push_back(longrope());
  for (const Subject& subject : all) {
    Tensor text = some_ids(2, 4);
    const Tensor made = made_by(subject, {text, {}, {}}, {.max_new_tokens = 6});
    for (int64_t i = 0; i < 6; ++i) {
      LanguageState state = subject.start(2);
      const Tensor next = subject.model->forward({text, {}, {}}, &state).select(1, text.size(1) - 1).argmax(-1, true);
      text = torch::cat({text, next}, 1);
    }
    EXPECT_TRUE(torch::equal(made, text.narrow(1, 4, 6))) << subject.name;
  }
}

TEST(Generate, APromptIsContinuedAsIfItWereAlone) {
  for (const Subject& subject : subjects()) {
    const Tensor ids = some_ids(1, 5), zeros = torch::zeros({1, 3}, torch::kInt64), ones = torch::ones_like(ids);
    const GenerateOptions options{.max_new_tokens = 5};
    const Tensor alone = made_by(subject, {ids, {}, {}}, options);
    const TextBatch left{torch::cat({zeros, ids}, 1), torch::cat({zeros, ones}, 1), {}},
        right{torch::cat({ids, zeros}, 1), torch::cat({ones, zeros}, 1), {}};
    EXPECT_TRUE(torch::equal(made_by(subject, left, options), alone)) << subject.name;
    EXPECT_TRUE(torch::equal(made_by(subject, right, options), alone)) << subject.name;
  }
}

TEST(Generate, AStateGoesOnBehindWhatWasMade) {
  for (const Subject& subject : subjects()) {
    const TextBatch text{some_ids(2, 4), {}, {}};
    const Tensor whole = made_by(subject, text, {.max_new_tokens = 6});
    LanguageState state = subject.start(2);
    const Tensor first = generate(*subject.model, text, state, {.max_new_tokens = 3});
    const TextBatch last{first.narrow(1, 2, 1), {}, {}};
    const Tensor second = generate(*subject.model, last, state, {.max_new_tokens = 3});
    EXPECT_TRUE(torch::equal(torch::cat({first, second}, 1), whole)) << subject.name;
  }
}

TEST(Generate, EndsWithTheFirstEndAndFillsUp) {
  const Subject subject = subjects().front();
  const TextBatch text{some_ids(3, 4), {}, {}};
  const Tensor free = generate(*subject.model, text, {.max_new_tokens = 8});
  const int64_t end = free[1][2].item<int64_t>();
  const Tensor made = generate(*subject.model, text, {.max_new_tokens = 8, .end_ids = {49, end}, .padding_id = 1});
  for (int64_t row = 0; row < 3; ++row) {
    bool ended = false;
    for (int64_t i = 0; i < made.size(1); ++i) {
      EXPECT_EQ(made[row][i].item<int64_t>(), ended ? 1 : free[row][i].item<int64_t>());
      ended = ended || made[row][i].item<int64_t>() == end || made[row][i].item<int64_t>() == 49;
    }
  }
  const TextBatch one{text.ids.narrow(0, 1, 1), {}, {}};
  EXPECT_LE(generate(*subject.model, one, {.max_new_tokens = 8, .end_ids = {end}}).size(1), 3)
      << "stops when all ended";
}

TEST(Generate, NoNewTokensAreNone) {
  const Subject subject = subjects().front();
  EXPECT_EQ(generate(*subject.model, {some_ids(2, 3), {}, {}}, {.max_new_tokens = 0}).sizes(),
            (std::vector<int64_t>{2, 0}));
}

TEST(Generate, AnEmptyPromptIsAnError) {
  const Subject subject = subjects().front();
  EXPECT_THROW(generate(*subject.model, {torch::zeros({1, 0}, torch::kInt64), {}, {}}, GenerateOptions{}), Error);
}

}  // namespace
}  // namespace tessera
