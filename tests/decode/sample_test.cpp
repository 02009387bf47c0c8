#include <gmock/gmock.h>

#include <cmath>
#include <map>

#include "decode/markov.h"
#include "decode/processors.h"
#include "language/language_models.h"
#include "support/scratch.h"

namespace tessera {
namespace {

using testing::decoded;
using ::testing::ElementsAre;
using testing::Markov;
using testing::one_token;
using testing::some_ids;
using testing::Subject;
using testing::subjects;

constexpr float kNever = -std::numeric_limits<float>::infinity();

std::vector<bool> kept(std::vector<float> scores, const GenerateOptions& options) {
  make_processors(options).process(scores, {});
  std::vector<bool> kept;
  for (const float score : scores) kept.push_back(score != kNever);
  return kept;
}
std::vector<float> logs(const std::vector<double>& probabilities) {
  std::vector<float> logs;
  for (const double p : probabilities) logs.push_back(static_cast<float>(std::log(p)));
  return logs;
}

TEST(Sampling, FrequenciesAreTheSoftmax) {
  const auto model = Markov::random(6, 1);
  for (const double temperature : {1.0, 0.6, 1.7}) {
    const GenerateOptions options{.max_new_tokens = 1, .do_sample = true, .temperature = temperature, .seed = 5};
    std::vector<double> seen(6), expected(6);
    for (const Generated& one : decoded(*model, one_token(2, 6000), options)) ++seen[static_cast<size_t>(one.ids[0])];
    double sum = 0;
    for (size_t i = 0; i < 6; ++i)
      sum += expected[i] = std::exp(model->log_probability(2, static_cast<int64_t>(i)) / temperature);
    for (double& p : expected) p /= sum;
    EXPECT_LT(testing::chi_square(seen, expected, 6000), testing::chi_square_bound(6));
  }
}

TEST(Sampling, TruncationsKeepWhatTheirPapersSay) {
  const auto scores = logs({0.05, 0.4, 0.1, 0.3, 0.15});
  EXPECT_THAT(kept(scores, {.do_sample = true, .top_k = 2}), ElementsAre(false, true, false, true, false));
  EXPECT_THAT(kept(scores, {.do_sample = true, .top_p = 0.6}), ElementsAre(false, true, false, true, false));
  EXPECT_THAT(kept(scores, {.do_sample = true, .top_p = 0.75}), ElementsAre(false, true, false, true, true));
  EXPECT_THAT(kept(scores, {.do_sample = true, .top_p = 0.01}), ElementsAre(false, true, false, false, false));
  EXPECT_THAT(kept(scores, {.do_sample = true, .min_p = 0.3}), ElementsAre(false, true, false, true, true));
  // The entropy is 1.39 nats; the surprises 3.00, 0.92, 2.30, 1.20, 1.90: nearest are 0.3, then 0.4, then 0.15.
  EXPECT_THAT(kept(scores, {.do_sample = true, .typical_p = 0.3}), ElementsAre(false, false, false, true, false));
  EXPECT_THAT(kept(scores, {.do_sample = true, .typical_p = 0.5}), ElementsAre(false, true, false, true, false));
  EXPECT_THAT(kept(logs({0.3, 0.3, 0.4}), {.do_sample = true, .top_k = 2}), ElementsAre(true, true, true))
      << "ties stay";
}

TEST(Sampling, TruncationsOfManyTokensEqualThoseBySorting) {
  at::manual_seed(4);
  const Tensor drawn = torch::randn({5000});
  const std::vector<float> scores(drawn.data_ptr<float>(), drawn.data_ptr<float>() + 5000);
  const Tensor sorted = std::get<0>(torch::softmax(drawn.to(torch::kFloat64), 0).sort(0, true));
  const int64_t nucleus = (sorted.cumsum(0) - sorted).lt(0.8).sum().item<int64_t>();
  const auto all = kept(scores, {.do_sample = true, .top_p = 0.8});
  EXPECT_EQ(std::count(all.begin(), all.end(), true), nucleus);
}

TEST(Penalties, CountWhatTheyShould) {
  const std::vector<int64_t> ids = {3, 3, 1, 2, 1, 1};
  const auto after = [&](const GenerateOptions& options, const std::vector<int64_t>& text, size_t prompt) {
    std::vector<float> scores = {1, 2, -1, 4, 5};
    make_processors(options).process(scores, {text, prompt});
    return scores;
  };
  EXPECT_THAT(after({.repetition_penalty = 2}, ids, 2), ElementsAre(1, 1, -2, 2, 5)) << "the prompt counts, once each";
  EXPECT_THAT(after({.frequency_penalty = 0.5, .presence_penalty = 1}, ids, 2), ElementsAre(1, -0.5, -2.5, 4, 5))
      << "the prompt does not count";
  EXPECT_THAT(after({.no_repeat_ngram_size = 2}, ids, 6), ElementsAre(1, kNever, kNever, 4, 5))
      << "1 was followed by 2 and by 1";
  EXPECT_THAT(after({.no_repeat_ngram_size = 1}, {4}, 1), ElementsAre(1, 2, -1, 4, kNever));
  EXPECT_THAT(after({.no_repeat_ngram_size = 3}, {4}, 1), ElementsAre(1, 2, -1, 4, 5)) << "a text that is too short";
  EXPECT_THAT(after({.bad_words_ids = {{0}, {1, 3}, {2, 4}}}, ids, 6), ElementsAre(kNever, 2, -1, kNever, 5));
  EXPECT_THAT(after({.end_ids = {4}, .min_new_tokens = 5}, ids, 2), ElementsAre(1, 2, -1, 4, kNever));
  EXPECT_THAT(after({.end_ids = {4}, .min_new_tokens = 4}, ids, 2), ElementsAre(1, 2, -1, 4, 5));
  EXPECT_THAT(after({.suppress_tokens = {0}, .begin_suppress_tokens = {1}}, ids, 6),
              ElementsAre(kNever, kNever, -1, 4, 5));
  EXPECT_THAT(after({.forced_bos_token_id = 2}, {9}, 1), ElementsAre(kNever, kNever, 0, kNever, kNever));
  EXPECT_THAT(after({.max_new_tokens = 5, .forced_eos_token_id = 2}, ids, 2),
              ElementsAre(kNever, kNever, 0, kNever, kNever));
}

TEST(Sampling, ARowDoesNotDependOnItsBatchAndASeedReproduces) {
  GenerateOptions options{.max_new_tokens = 6, .do_sample = true, .temperature = 1.5, .top_k = 20, .seed = 3};
  options.repetition_penalty = 1.2, options.no_repeat_ngram_size = 2;
  for (const Subject& subject : subjects()) {
    if (reads_source(subject)) continue;  // its rows read different sources
    const Tensor ids = some_ids(3, 5);
    const auto together = decoded(*subject.model, {ids, {}, {}}, options, {.seeds = {11, 12, 13}});
    EXPECT_EQ(decoded(*subject.model, {ids, {}, {}}, options, {.seeds = {11, 12, 13}})[1].ids, together[1].ids);
    for (size_t row = 0; row < 3; ++row) {
      const TextBatch one{ids.narrow(0, static_cast<int64_t>(row), 1), {}, {}};
      EXPECT_EQ(decoded(*subject.model, one, options, {.seeds = {11 + static_cast<int64_t>(row)}})[0].ids,
                together[row].ids)
          << subject.name;
    }
    const GenerateHooks other{.seeds = {21, 22, 23}};
    EXPECT_NE(decoded(*subject.model, {ids, {}, {}}, options, other)[0].ids, together[0].ids) << subject.name;
  }
}

TEST(Sampling, ARowThatEndedDoesNotFillTheContextOfItsNeighbours) {
  const auto model =
      std::make_shared<Markov>(torch::tensor({{0., 9., 0.}, {0., 0., 9.}, {9., 0., 0.}}).to(torch::kFloat32));
  model->length = 9;
  const TextBatch text{torch::tensor({{2, 2, 2, 2, 2, 2, 1}, {0, 0, 0, 0, 0, 0, 0}}),
                       torch::tensor({{1, 1, 1, 1, 1, 1, 1}, {0, 0, 0, 0, 0, 0, 1}}).to(torch::kBool),
                       {}};
  const auto made = decoded(*model, text, {.max_new_tokens = 20, .end_ids = {2}});
  EXPECT_THAT(made[0].ids, ElementsAre(2));
  EXPECT_THAT(made[1].ids, ElementsAre(1, 2));
  const auto endless = decoded(*model, text, {.max_new_tokens = 20});
  EXPECT_EQ(endless[0].ids.size(), 2U);
  EXPECT_EQ(endless[0].finish, Finish::kContext);
  EXPECT_EQ(endless[1].ids.size(), 8U) << "up to the end of the context";
}

TEST(Decode, APromptThatFillsTheContextIsRefusedWithBothLengths) {
  const auto model = Markov::random(4, 1);
  model->length = 5;
  try {
    decoded(*model, {torch::zeros({1, 5}, torch::kInt64), {}, {}}, {});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(),
                ::testing::AllOf(::testing::HasSubstr("prompt of 5 tokens"), ::testing::HasSubstr("context of 5")));
  }
}

TEST(Decode, LogProbabilitiesAreThoseOfOneForwardPass) {
  const torch::NoGradGuard no_grad;
  for (const Subject& subject : subjects()) {
    const TextBatch text{some_ids(2, 4), {}, {}};
    for (const bool sample : {false, true}) {
      GenerateOptions options{.max_new_tokens = 5, .do_sample = sample, .log_probabilities = true};
      options.repetition_penalty = 1.3;
      LanguageState state = subject.start(2), fresh = subject.start(2);
      const auto made = decode(*subject.model, text_prompt(*subject.model, text), state, options);
      const Tensor more = torch::stack({torch::tensor(made[0].ids), torch::tensor(made[1].ids)});
      const Tensor logits = subject.model->forward({torch::cat({text.ids, more}, 1), {}, {}}, &fresh);
      const Tensor log_softmax = torch::log_softmax(logits.to(torch::kFloat64), -1);
      for (int64_t row = 0; row < 2; ++row)
        for (int64_t i = 0; i < 5; ++i)
          EXPECT_NEAR(made[static_cast<size_t>(row)].log_probabilities[static_cast<size_t>(i)],
                      log_softmax[row][3 + i][more[row][i].item<int64_t>()].item<double>(), 1e-4)
              << subject.name;
    }
  }
}

TEST(Decode, ATokenCostsOnePassOverTheWeights) {
  const auto model = Markov::random(5, 2);
  decoded(*model, one_token(1, 3), {.max_new_tokens = 10});
  EXPECT_EQ(model->passes, 10) << "the prompt, and each new token but the last";
}

TEST(Decode, AnInterruptedGenerationLeavesAStateThatGoesOn) {
  for (const Subject& subject : subjects()) {
    const TextBatch text{some_ids(2, 4), {}, {}};
    LanguageState whole_state = subject.start(2), state = subject.start(2);
    const Prompt prompt = text_prompt(*subject.model, text);
    const auto whole = decode(*subject.model, prompt, whole_state, {.max_new_tokens = 6});
    int calls = 0;
    const auto first =
        decode(*subject.model, prompt, state, {.max_new_tokens = 6}, {.interrupted = [&] { return ++calls > 3; }});
    ASSERT_EQ(first[0].ids.size(), 3U);
    EXPECT_EQ(first[0].finish, Finish::kInterrupted);
    const Tensor last = torch::tensor({first[0].ids.back(), first[1].ids.back()}).unsqueeze(1);
    const auto second =
        decode(*subject.model, text_prompt(*subject.model, {last, {}, {}}), state, {.max_new_tokens = 3});
    for (size_t row = 0; row < 2; ++row) {
      auto joined = first[row].ids;
      joined.insert(joined.end(), second[row].ids.begin(), second[row].ids.end());
      EXPECT_EQ(joined, whole[row].ids) << subject.name;
    }
  }
}

TEST(Decode, TellsEachTokenOnceAndInOrder) {
  const auto model = Markov::random(5, 2);
  std::map<int64_t, std::vector<int64_t>> told;
  const auto made = decoded(*model, one_token(1, 3), {.max_new_tokens = 7, .do_sample = true},
                            {.on_token = [&](int64_t row, int64_t id, double) { told[row].push_back(id); }});
  for (size_t row = 0; row < 3; ++row) EXPECT_EQ(told[static_cast<int64_t>(row)], made[row].ids);
}

TEST(Decode, SeveralSequencesOfAPromptDifferAndTheFirstIsTheOneAlone) {
  const auto model = Markov::random(9, 2);
  GenerateOptions options{.max_new_tokens = 8, .do_sample = true, .seed = 4};
  const auto alone = decoded(*model, one_token(1, 2), options);
  options.num_return_sequences = 3;
  const auto made = decoded(*model, one_token(1, 2), options);
  ASSERT_EQ(made.size(), 6U);
  EXPECT_EQ(made[0].ids, alone[0].ids);
  EXPECT_EQ(made[3].ids, alone[1].ids);
  EXPECT_NE(made[0].ids, made[1].ids);
  EXPECT_NE(made[1].ids, made[2].ids);
}

TEST(Decode, WhatMeansNothingTogetherIsRefused) {
  const auto model = Markov::random(5, 2);
  const std::vector<std::pair<const char*, const char*>> wrong = {
      {R"({"temperature": 0.7})", "do_sample"},
      {R"({"top_p": 0.9})", "do_sample"},
      {R"({"do_sample": true, "temperature": 0})", "temperature"},
      {R"({"do_sample": true, "top_p": 0})", "top_p"},
      {R"({"num_return_sequences": 2})", "num_return_sequences"},
      {R"({"num_beams": 2, "num_return_sequences": 3})", "2 beams"},
      {R"({"num_beams": 4, "num_beam_groups": 3})", "3 groups"},
      {R"({"num_beams": 4, "num_beam_groups": 2, "do_sample": true})", "do_sample"},
      {R"({"num_beam_groups": 2})", "num_beams"},
      {R"({"diversity_penalty": 1})", "num_beam_groups"},
      {R"({"early_stopping": "perhaps"})", "early_stopping"},
      {R"({"penalty_alpha": 0.6})", "top_k"},
      {R"({"penalty_alpha": 0.6, "top_k": 4, "do_sample": true})", "do_sample"},
      {R"({"max_new_tokens": 3, "min_new_tokens": 4})", "min_new_tokens"},
      {R"({"num_beams": 2, "prompt_lookup_tokens": 3})", "num_beams"},
      {R"({"bad_words_ids": [[]]})", "bad_words_ids"},
  };
  for (const auto& [json, reason] : wrong) {
    try {
      decoded(*model, one_token(1), read_options<GenerateOptions>(Json::parse(json), "test"));
      ADD_FAILURE() << json << " was taken";
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), ::testing::HasSubstr(reason)) << json;
    }
  }
  const GenerateHooks stream{.on_token = [](int64_t, int64_t, double) {}};
  EXPECT_THROW(decoded(*model, one_token(1), {.num_beams = 2}, stream), Error);
  EXPECT_THROW(decoded(*model, one_token(1, 2), {}, {.draft = model.get()}), Error) << "two texts";
  const auto other = Markov::random(6, 2);
  EXPECT_THROW(decoded(*model, one_token(1), {}, {.draft = other.get()}), Error) << "another vocabulary";
}

TEST(Decode, BansThatLeaveNothingAreAnError) {
  const auto model = Markov::random(3, 2);
  EXPECT_THROW(decoded(*model, one_token(1), {.suppress_tokens = {0, 1, 2}}), Error);
}

TEST(GenerationConfig, IsReadAsPublishedAndUnknownKeysAreErrors) {
  const auto options = read_generation_config(
      Json::parse(R"({"bos_token_id": 1, "eos_token_id": [2, 7], "do_sample": true, "temperature": 0.6, "top_p": 0.9,
                      "transformers_version": "4.40.0"})"),
      "generation_config.json");
  EXPECT_THAT(options.end_ids, ElementsAre(2, 7));
  EXPECT_EQ(options.padding_id, 2);
  EXPECT_TRUE(options.do_sample);
  EXPECT_EQ(options.top_k, 50) << "what transformers samples with where the file says nothing";
  EXPECT_EQ(read_generation_config(Json::parse(R"({"eos_token_id": 3, "temperature": 0.6})"), "f").temperature, 1)
      << "means nothing without sampling, and files carry it";
  EXPECT_THROW(read_generation_config(Json::parse(R"({"watermarking_config": {"bias": 2.5}})"), "f"), Error);
}

}  // namespace
}  // namespace tessera
