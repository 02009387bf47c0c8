// What every language model promises, whatever it mixes its tokens with.
#include "language/language_model.h"

#include <gmock/gmock.h>

#include "language/language_models.h"
#include "support/scratch.h"

namespace tessera {
namespace {

using testing::distance;
using testing::error_of;
using testing::some_ids;
using testing::Subject;
using testing::subjects;

constexpr double kNear = 2e-5;

Tensor logits_of(const Subject& subject, const TextBatch& text) {
  LanguageState state = subject.start(text.ids.size(0));
  return subject.model->forward(text, &state);
}

/// The logits of a text that is read in pieces of these lengths.
Tensor in_pieces(const Subject& subject, const TextBatch& text, const std::vector<int64_t>& lengths) {
  LanguageState state = subject.start(text.ids.size(0));
  std::vector<Tensor> logits;
  int64_t begin = 0;
  for (const int64_t length : lengths) {
    const Tensor mask = text.mask.defined() ? text.mask.narrow(1, begin, length) : Tensor();
    logits.push_back(subject.model->forward({text.ids.narrow(1, begin, length), mask, {}}, &state));
    begin += length;
  }
  return torch::cat(logits, 1);
}

/// Rows of these lengths, filled up to the longest with padding on one side.
TextBatch padded(const std::vector<int64_t>& lengths, bool left) {
  const int64_t batch = static_cast<int64_t>(lengths.size()),
                longest = *std::max_element(lengths.begin(), lengths.end());
  TextBatch text{torch::zeros({batch, longest}, torch::kInt64), torch::zeros({batch, longest}, torch::kBool), {}};
  for (int64_t row = 0; row < batch; ++row) {
    const int64_t length = lengths[static_cast<size_t>(row)], begin = left ? longest - length : 0;
    text.ids[row].narrow(0, begin, length).copy_(some_ids(batch, length)[row]);
    text.mask[row].narrow(0, begin, length).fill_(true);
  }
  return text;
}

TEST(LanguageModel, ATextInPiecesGivesTheLogitsOfTheWhole) {
  const torch::NoGradGuard no_grad;
  const TextBatch text{some_ids(2, 11), {}, {}};
  for (const Subject& subject : subjects()) {
    const Tensor whole = logits_of(subject, text);
    EXPECT_EQ(whole.sizes(), (std::vector<int64_t>{2, 11, 50}));
    EXPECT_GT(whole.std().item<double>(), 0.01) << subject.name;
    EXPECT_LT(distance(in_pieces(subject, text, {4, 5, 2}), whole), kNear) << subject.name;
    EXPECT_LT(distance(in_pieces(subject, text, std::vector<int64_t>(11, 1)), whole), kNear) << subject.name;
    EXPECT_LT(distance(in_pieces(subject, text, {6, 1, 1, 3}), whole), kNear) << subject.name;
  }
}

TEST(LanguageModel, WithoutAStateTheLogitsAreThoseOfAFreshOne) {
  const torch::NoGradGuard no_grad;
  const TextBatch text{some_ids(2, 9), {}, {}};
  for (const Subject& subject : subjects())
    if (!std::dynamic_pointer_cast<EncoderDecoder>(subject.model)) {
      EXPECT_LT(distance(subject.model->forward(text), logits_of(subject, text)), kNear) << subject.name;
    }
}

TEST(LanguageModel, PaddingOnEitherSideChangesNothing) {
  const torch::NoGradGuard no_grad;
  const std::vector<int64_t> lengths = {9, 5, 7, 1};
  for (const Subject& subject : subjects())
    for (const bool left : {true, false}) {
      const TextBatch text = padded(lengths, left), more{some_ids(4, 3), {}, {}};
      LanguageState state = subject.start(4);
      const Tensor first = subject.model->forward(text, &state), second = subject.model->forward(more, &state);
      for (int64_t row = 0; row < 4; ++row) {
        const int64_t length = lengths[static_cast<size_t>(row)], begin = left ? 9 - length : 0;
        const Tensor ids = torch::cat({text.ids.narrow(1, begin, length), more.ids}, 1);  // the row as if alone
        const Tensor alone = logits_of(subject, {ids, {}, {}})[row];
        const std::string what = subject.name + (left ? ", left, row " : ", right, row ") + std::to_string(row);
        EXPECT_LT(distance(first[row].narrow(0, begin, length), alone.narrow(0, 0, length)), kNear) << what;
        EXPECT_LT(distance(second[row], alone.narrow(0, length, 3)), kNear) << what << ", what follows";
      }
    }
}

TEST(LanguageModel, PaddedBatchesInPiecesGiveTheLogitsOfTheWhole) {
  const torch::NoGradGuard no_grad;
  for (const Subject& subject : subjects())
    for (const bool left : {true, false}) {
      const TextBatch text = padded({8, 5, 3}, left);
      const Tensor real = text.mask.unsqueeze(-1).to(torch::kFloat32), whole = logits_of(subject, text) * real;
      EXPECT_LT(distance(in_pieces(subject, text, std::vector<int64_t>(8, 1)) * real, whole), kNear) << subject.name;
      EXPECT_LT(distance(in_pieces(subject, text, {2, 4, 2}) * real, whole), kNear) << subject.name;
    }
}

TEST(LanguageModel, DoesNotSeeTheFuture) {
  const torch::NoGradGuard no_grad;
  for (const Subject& subject : subjects()) {
    const Tensor before = some_ids(1, 9);
    Tensor after = before.clone();
    after[0][5] = (before[0][5].item<int64_t>() + 1) % 50;
    const Tensor a = logits_of(subject, {before, {}, {}}), b = logits_of(subject, {after, {}, {}});
    EXPECT_LT(distance(a.narrow(1, 0, 5), b.narrow(1, 0, 5)), 1e-6) << subject.name;
    for (int64_t i = 5; i < 9; ++i) EXPECT_GT(distance(a.select(1, i), b.select(1, i)), 1e-4) << subject.name << i;
  }
}

TEST(LanguageModel, TokenVectorsStandForTheirIds) {
  const torch::NoGradGuard no_grad;
  const Tensor ids = some_ids(2, 6);
  for (const Subject& subject : subjects()) {
    LanguageState state = subject.start(2);
    Tokens tokens;
    tokens.x = subject.model->embed(ids);
    EXPECT_EQ(tokens.x.size(2), subject.model->width());
    tokens.at = torch::arange(6).view({1, 6, 1}).expand({2, 6, 1});
    const Tensor logits = subject.model->logits(subject.model->hidden(tokens, &state).x);
    EXPECT_LT(distance(logits, logits_of(subject, {ids, {}, {}})), kNear) << subject.name;
  }
}

TEST(LanguageModel, AStateFollowsItsRows) {
  const torch::NoGradGuard no_grad;
  const Tensor rows = torch::tensor({2, 0, 0}, torch::kInt64);
  for (const Subject& subject : subjects())
    for (const bool left : {true, false}) {
      const TextBatch text = padded({4, 6, 3}, left), more{some_ids(3, 2), {}, {}};
      LanguageState state = subject.start(3), same = subject.start(3);
      subject.model->forward(text, &state);
      subject.model->forward(text, &same);
      state.select(rows);
      const Tensor selected = subject.model->forward({more.ids.index_select(0, rows), {}, {}}, &state);
      EXPECT_LT(distance(selected, subject.model->forward(more, &same).index_select(0, rows)), kNear) << subject.name;
    }
}

TEST(LanguageModel, GradientsReachEveryParameter) {
  for (const Subject& subject : subjects())
    testing::expect_gradients(*subject.model, logits_of(subject, padded({7, 5}, true)));
}

TEST(LanguageModel, GradientsFlowThroughTheState) {
  const TextBatch text{some_ids(2, 7), {}, {}};
  for (const Subject& subject : subjects()) {
    std::vector<std::vector<Tensor>> gradients;
    for (const auto& lengths : std::vector<std::vector<int64_t>>{{7}, {3, 1, 3}}) {
      subject.model->zero_grad();
      // What the last pieces say depends on the first through the state alone.
      in_pieces(subject, text, lengths).narrow(1, 4, 3).pow(2).sum().backward();
      gradients.emplace_back();
      for (const Tensor& parameter : subject.model->parameters()) gradients.back().push_back(parameter.grad().clone());
    }
    for (size_t i = 0; i < gradients[0].size(); ++i) {
      const double size = gradients[0][i].abs().max().item<double>();
      EXPECT_LT(distance(gradients[0][i], gradients[1][i]), 1e-4 * std::max(size, 1.0)) << subject.name;
    }
  }
}

TEST(LanguageModel, AnIdOutsideTheVocabularyIsAnError) {
  for (const Subject& subject : subjects())
    for (const int64_t id : {-1, 50})
      EXPECT_THAT(error_of([&] {
                    subject.model->embed(torch::full({1, 2}, id, torch::kInt64));
                  }),
                  ::testing::HasSubstr("outside the vocabulary of 50"))
          << subject.name;
}

TEST(LanguageModel, LearnedPositionsEndWithTheirTable) {
  const torch::NoGradGuard no_grad;
  for (const Subject& subject : subjects()) {
    if (subject.name != "gpt2" && subject.name != "opt" && subject.name != "bart") continue;
    LanguageState state = subject.start(1);
    EXPECT_NO_THROW(subject.model->forward({some_ids(1, 1).repeat({1, 32}), {}, {}}, &state));
    EXPECT_THAT(error_of([&] {
                  subject.model->forward({some_ids(1, 1), {}, {}}, &state);
                }),
                ::testing::HasSubstr("33 tokens do not fit into the context of 32"));
  }
}

TEST(LanguageModel, ABatchOfAnotherSizeCannotGoOn) {
  const torch::NoGradGuard no_grad;
  for (const Subject& subject : subjects()) {
    LanguageState state = subject.start(3);
    subject.model->forward({some_ids(3, 4), {}, {}}, &state);
    EXPECT_THROW(subject.model->forward({some_ids(2, 1), {}, {}}, &state), Error) << subject.name;
  }
}

TEST(LanguageModel, RecipesBuildEveryKind) {
  const auto make = [](Json options) {
    options["vocabulary"] = 8, options["dim"] = 48;
    return language_models().make(options, "recipe")->width();
  };
  EXPECT_EQ(make({{"kind", "decoder"}, {"rotary", {{"scaling", "yarn"}}}, {"positions", "rotary"}}), 48);
  EXPECT_EQ(make({{"kind", "mamba2"}, {"depth", 2}}), 48);
  EXPECT_EQ(make({{"kind", "t5"}, {"encoder_depth", 1}}), 48);
  EXPECT_EQ(make({{"kind", "bart"}, {"encoder_depth", 1}, {"decoder_depth", 1}}), 48);
  EXPECT_THROW(make({{"kind", "decoder"}, {"positions", "rotray"}}), Error);
  EXPECT_THROW(make({{"kind", "decoder"}, {"windows", {3}}}), Error);
  EXPECT_THROW(make({{"kind", "decoder"}, {"kv_heads", 5}}), Error);
}

TEST(NextTokenLoss, CountsTheLabelsThatAreThere) {
  const Tensor logits = torch::randn({2, 4, 5}),
               labels = torch::tensor({{0, 1, 2, 3}, {4, -100, -100, 1}}, torch::kInt64);
  const Tensor log = torch::log_softmax(logits, -1);
  const Tensor sum = log[0][0][1] + log[0][1][2] + log[0][2][3] + log[1][2][1];
  EXPECT_LT(distance(next_token_loss(logits, labels), -sum / 4), 1e-5);
}

TEST(LastReal, IsTheLastTokenThatIsNoPadding) {
  const Tensor x = torch::arange(12, torch::kFloat32).view({3, 4, 1});
  const Tensor mask = torch::tensor({{1, 1, 0, 0}, {0, 0, 1, 1}, {0, 0, 0, 0}}, torch::kInt64);
  EXPECT_TRUE(torch::equal(last_real(x, mask), torch::tensor({{1.F}, {7.F}, {11.F}})));
  EXPECT_TRUE(torch::equal(last_real(x, {}), torch::tensor({{3.F}, {7.F}, {11.F}})));
}

std::vector<std::shared_ptr<EncoderDecoder>> encoder_decoders() {
  std::vector<std::shared_ptr<EncoderDecoder>> models;
  for (const Subject& subject : subjects())
    if (auto model = std::dynamic_pointer_cast<EncoderDecoder>(subject.model)) models.push_back(model);
  return models;
}

TEST(EncoderDecoder, TheSourceIsReadAsIfItHadNoPadding) {
  const torch::NoGradGuard no_grad;
  const Tensor target = some_ids(1, 5), ids = some_ids(1, 6);
  const Tensor zeros = torch::zeros({1, 3}, torch::kInt64), ones = torch::ones({1, 6}, torch::kInt64);
  for (const auto& model : encoder_decoders()) {
    const auto answer = [&](const TextBatch& source) {
      LanguageState state = model->start(model->encode(source));
      return model->forward({target, {}, {}}, &state);
    };
    const Tensor alone = answer({ids, {}, {}});
    EXPECT_LT(distance(answer({torch::cat({ids, zeros}, 1), torch::cat({ones, zeros}, 1), {}}), alone), kNear);
    EXPECT_LT(distance(answer({torch::cat({zeros, ids}, 1), torch::cat({zeros, ones}, 1), {}}), alone), kNear);
    EXPECT_GT(distance(answer({some_ids(2, 6).narrow(0, 1, 1), {}, {}}), alone), 1e-3) << "the source matters";
  }
}

TEST(EncoderDecoder, GradientsReachEveryParameter) {
  for (const auto& model : encoder_decoders()) {
    LanguageState state = model->start(model->encode({some_ids(2, 7), {}, {}}));
    testing::expect_gradients(*model, model->forward({some_ids(2, 5), {}, {}}, &state));
  }
}

TEST(EncoderDecoder, WithoutASourceThereIsNothingToDecode) {
  for (const auto& model : encoder_decoders()) {
    EXPECT_THROW(model->start(), Error);
    EXPECT_THROW(model->forward({some_ids(1, 2), {}, {}}), Error);
  }
}

TEST(EncoderDecoder, LabelsAreShiftedBehindTheStart) {
  const T5 t5(testing::small_t5());
  const Bart bart(testing::small_bart());
  const Tensor labels = torch::tensor({{5, 6, -100, 7}}, torch::kInt64);
  EXPECT_TRUE(torch::equal(t5.shifted(labels, 3), torch::tensor({{0, 5, 6, 3}}, torch::kInt64)));
  EXPECT_TRUE(torch::equal(bart.shifted(labels, 1), torch::tensor({{2, 5, 6, 1}}, torch::kInt64)));
}

TEST(Bart, ASourceBeyondTheContextIsAnError) {
  const auto model = std::make_shared<Bart>(testing::small_bart());
  EXPECT_NO_THROW(model->encode({some_ids(1, 1).repeat({1, 32}), {}, {}}));
  EXPECT_THAT(error_of([&] {
                model->encode({some_ids(1, 1).repeat({1, 33}), {}, {}});
              }),
              ::testing::HasSubstr("33 tokens do not fit into the context of 32"));
}

TEST(Bart, TheVectorOfTheLogitsIsAddedAndNotLearned) {
  const torch::NoGradGuard no_grad;
  const auto model = std::make_shared<Bart>(testing::small_bart());
  const Tensor hidden = torch::randn({1, 2, 16}), before = model->logits(hidden);
  EXPECT_FALSE(model->named_parameters().contains("logits_bias"));
  model->named_buffers()["logits_bias"].fill_(1.5);
  EXPECT_LT(distance(model->logits(hidden), before + 1.5), 1e-5);
}

}  // namespace
}  // namespace tessera
