// Beam search, contrastive search, speculation.
#include <gmock/gmock.h>

#include <cmath>
#include <map>
#include <set>

#include "decode/json_schema.h"
#include "decode/markov.h"
#include "decode/regular_expression.h"
#include "language/language_models.h"
#include "support/scratch.h"

namespace tessera {
namespace {

using testing::decoded;
using testing::Markov;
using testing::one_token;
using testing::some_ids;
using testing::Subject;
using testing::subjects;

constexpr int64_t kEnd = 3;

/// All texts of at most `length` tokens that end with kEnd or are that long, with their log-probabilities.
void enumerate(const Markov& model, int64_t last, size_t length, std::vector<int64_t>& text, double sum,
               std::map<std::vector<int64_t>, double>& all) {
  if (text.size() == length || (!text.empty() && text.back() == kEnd)) {
    all[text] = sum;
    return;
  }
  for (int64_t id = 0; id < model.vocabulary(); ++id) {
    text.push_back(id);
    enumerate(model, id, length, text, sum + model.log_probability(last, id), all);
    text.pop_back();
  }
}

TEST(BeamSearch, WithBeamsForEveryTextItFindsTheBestOnes) {
  for (uint64_t seed = 1; seed <= 4; ++seed)
    for (const double penalty : {0.0, 1.0, 2.0}) {
      const auto model = Markov::random(4, seed);
      std::map<std::vector<int64_t>, double> all;
      std::vector<int64_t> text;
      enumerate(*model, 0, 4, text, 0, all);
      std::vector<std::pair<double, std::vector<int64_t>>> ranked;
      for (const auto& [ids, sum] : all) ranked.emplace_back(sum / std::pow(ids.size(), penalty), ids);
      std::sort(ranked.rbegin(), ranked.rend());
      GenerateOptions options{.max_new_tokens = 4, .end_ids = {kEnd}, .num_return_sequences = 5};
      options.num_beams = 256, options.length_penalty = penalty, options.early_stopping = "never";
      const auto found = decoded(*model, one_token(0), options);
      std::set<std::vector<int64_t>> distinct;
      for (size_t i = 0; i < 5; ++i) {
        // Texts that pass the same pairs of tokens in another order are equally good.
        EXPECT_NEAR(all.at(found[i].ids) / std::pow(found[i].ids.size(), penalty), found[i].score, 1e-4);
        EXPECT_TRUE(distinct.insert(found[i].ids).second);
        EXPECT_NEAR(found[i].score, ranked[i].first, 1e-4);
      }
    }
}

TEST(BeamSearch, GroupsOfOneBeamAreGreedyUntilTheyMustDiffer) {
  const auto model = Markov::random(8, 3);
  const auto greedy = decoded(*model, one_token(0), {.max_new_tokens = 6});
  GenerateOptions options{.max_new_tokens = 6, .num_return_sequences = 3, .num_beams = 3, .num_beam_groups = 3};
  for (const Generated& one : decoded(*model, one_token(0), options)) EXPECT_EQ(one.ids, greedy[0].ids);
  options.diversity_penalty = 100;
  std::set<int64_t> first;
  for (const Generated& one : decoded(*model, one_token(0), options)) first.insert(one.ids[0]);
  EXPECT_EQ(first.size(), 3U);
}

TEST(BeamSearch, ScoresAreTheLogProbabilitiesOfTheTextsThatItReturns) {
  const torch::NoGradGuard no_grad;
  for (const Subject& subject : subjects()) {
    const TextBatch text{some_ids(2, 4), {}, {}};
    GenerateOptions options{.max_new_tokens = 6, .num_return_sequences = 2, .num_beams = 3, .log_probabilities = true};
    LanguageState state = subject.start(2);
    const auto made = decode(*subject.model, text_prompt(*subject.model, text), state, options);
    ASSERT_EQ(made.size(), 4U);
    for (size_t i = 0; i < made.size(); ++i) {
      const auto row = static_cast<int64_t>(i / 2);
      const Tensor whole = torch::cat({text.ids[row], torch::tensor(made[i].ids)}).unsqueeze(0);
      LanguageState fresh = subject.start(2);
      const Tensor log_softmax =
          torch::log_softmax(subject.model->forward({whole.expand({2, -1}), {}, {}}, &fresh)[row], -1);
      double sum = 0;
      for (int64_t j = 0; j < 6; ++j) {
        const double expected = log_softmax[3 + j][made[i].ids[static_cast<size_t>(j)]].item<double>();
        EXPECT_NEAR(made[i].log_probabilities[static_cast<size_t>(j)], expected, 1e-4) << subject.name;
        sum += expected;
      }
      EXPECT_NEAR(made[i].score, sum / 6, 1e-4) << subject.name;
    }
    EXPECT_GE(made[0].score, made[1].score);
    EXPECT_NE(made[0].ids, made[1].ids);
  }
}

TEST(BeamSearch, APromptIsSearchedAsIfItWereAlone) {
  for (const Subject& subject : subjects()) {
    if (reads_source(subject)) continue;  // its rows read different sources
    GenerateOptions options{.max_new_tokens = 6, .end_ids = {7, 11, 13, 17, 19}, .num_beams = 3};
    options.no_repeat_ngram_size = 2;
    const Tensor ids = some_ids(3, 5);
    const auto together = decoded(*subject.model, {ids, {}, {}}, options);
    for (int64_t row = 0; row < 3; ++row)
      EXPECT_EQ(decoded(*subject.model, {ids.narrow(0, row, 1), {}, {}}, options)[0].ids,
                together[static_cast<size_t>(row)].ids)
          << subject.name;
  }
}

TEST(BeamSearch, IsNoWorseThanGreedy) {
  const Subject subject = subjects()[3];
  const TextBatch text{some_ids(1, 4), {}, {}};
  const auto greedy = decoded(*subject.model, text, {.max_new_tokens = 4, .log_probabilities = true});
  double sum = 0;
  for (const double one : greedy[0].log_probabilities) sum += one;
  EXPECT_GE(decoded(*subject.model, text, {.max_new_tokens = 4, .num_beams = 8})[0].score, sum / 4 - 1e-6);
}

TEST(BeamSearch, SampledBeamsReproduceAndDiffer) {
  const auto model = Markov::random(12, 3);
  GenerateOptions options{.max_new_tokens = 8, .do_sample = true, .seed = 1, .num_beams = 3};
  const auto first = decoded(*model, one_token(0), options);
  EXPECT_EQ(decoded(*model, one_token(0), options)[0].ids, first[0].ids);
  bool differs = false;
  for (options.seed = 2; options.seed < 12; ++options.seed)
    differs = differs || decoded(*model, one_token(0), options)[0].ids != first[0].ids;
  EXPECT_TRUE(differs);
}

TEST(ContrastiveSearch, IsTheRuleOfThePaperWithoutACache) {
  const torch::NoGradGuard no_grad;
  const GenerateOptions options{.max_new_tokens = 6, .top_k = 4, .penalty_alpha = 0.6};
  for (const Subject& subject : subjects()) {
    if (reads_source(subject)) continue;
    const auto made = decoded(*subject.model, {some_ids(2, 5), {}, {}}, options);
    for (int64_t row = 0; row < 2; ++row) {
      Tensor text = some_ids(2, 5).narrow(0, row, 1);
      const auto hidden = [&](const Tensor& ids) {
        Tokens tokens;
        tokens.x = subject.model->embed(ids);
        return subject.model->hidden(tokens, nullptr).x[0];  // L x D
      };
      for (const int64_t got : made[static_cast<size_t>(row)].ids) {
        const Tensor states = hidden(text);
        const auto [chances, ids] = torch::softmax(subject.model->logits(states[-1]), -1).topk(4);
        double best_score = -1e9;
        int64_t best = -1;
        for (int64_t c = 0; c < 4; ++c) {
          const Tensor state = hidden(torch::cat({text, ids[c].view({1, 1})}, 1))[-1];
          const double alike = torch::cosine_similarity(states, state.unsqueeze(0)).max().item<double>();
          const double score = 0.4 * chances[c].item<double>() - 0.6 * alike;
          if (score > best_score) best_score = score, best = ids[c].item<int64_t>();
        }
        EXPECT_EQ(got, best) << subject.name;
        text = torch::cat({text, torch::full({1, 1}, got, torch::kInt64)}, 1);
      }
    }
  }
}

std::vector<double> counts_of_texts(Markov& model, const GenerateOptions& options, Markov* draft, int64_t runs,
                                    const TextBatch& prompt) {
  std::vector<double> counts(64);
  for (int64_t run = 0; run < runs; ++run) {
    const auto made = decoded(model, prompt, options, {.draft = draft, .seeds = {run}})[0].ids;
    ++counts[static_cast<size_t>(16 * made[0] + 4 * made[1] + made[2])];
  }
  return counts;
}

TEST(Speculation, HasTheDistributionOfTheModelWhateverTheDraft) {
  const auto model = Markov::random(4, 1), draft = Markov::random(4, 2);
  std::vector<double> expected(64), drafted(64);
  for (int64_t i = 0; i < 64; ++i) {
    const int64_t a = i / 16, b = i / 4 % 4, c = i % 4;
    const auto chance = [&](const Markov& of) {
      return std::exp(of.log_probability(0, a) + of.log_probability(a, b) + of.log_probability(b, c));
    };
    expected[static_cast<size_t>(i)] = chance(*model), drafted[static_cast<size_t>(i)] = chance(*draft);
  }
  constexpr int64_t kRuns = 4000;
  const double bound = testing::chi_square_bound(64);
  for (double& chance : drafted) chance *= kRuns;
  EXPECT_GT(testing::chi_square(drafted, expected, kRuns), 3 * bound) << "the test tells the two models apart";
  GenerateOptions options{.max_new_tokens = 3, .do_sample = true, .draft_tokens = 2};
  EXPECT_LT(testing::chi_square(counts_of_texts(*model, options, draft.get(), kRuns, one_token(0)), expected, kRuns),
            bound);
  options.prompt_lookup_tokens = 2;
  const TextBatch repeating{torch::tensor({{0, 3, 1, 0, 2, 2, 0}}), {}, {}};
  EXPECT_LT(testing::chi_square(counts_of_texts(*model, options, nullptr, kRuns, repeating), expected, kRuns), bound);
}

TEST(Speculation, IsGreedyWhereGreedyIsAskedForAndSavesPasses) {
  for (const Subject& subject : subjects()) {
    if (subject.name == "mamba2" || reads_source(subject)) continue;
    const TextBatch text{some_ids(1, 6), {}, {}};
    LanguageState plain_state = subject.start(1), state = subject.start(1);
    const Prompt prompt = text_prompt(*subject.model, text);
    const auto plain = decode(*subject.model, prompt, plain_state, {.max_new_tokens = 12});
    const Subject other = testing::subject("draft", std::make_shared<Decoder>(testing::small_decoder()));
    for (LanguageModel* draft : {other.model.get(), subject.model.get()}) {
      LanguageState drafted_state = subject.start(1);
      const auto drafted = decode(*subject.model, prompt, drafted_state, {.max_new_tokens = 12}, {.draft = draft});
      EXPECT_EQ(drafted[0].ids, plain[0].ids) << subject.name;
      EXPECT_TRUE(torch::equal(drafted_state.seen, plain_state.seen)) << "it has seen all but the last token";
    }
    EXPECT_EQ(decode(*subject.model, prompt, state, {.max_new_tokens = 12, .prompt_lookup_tokens = 3})[0].ids,
              plain[0].ids);
    const Tensor last = torch::tensor({plain[0].ids.back()}).unsqueeze(0);
    const Prompt more = text_prompt(*subject.model, {last, {}, {}});
    EXPECT_EQ(decode(*subject.model, more, state, {.max_new_tokens = 3})[0].ids,
              decode(*subject.model, more, plain_state, {.max_new_tokens = 3})[0].ids)
        << "the state goes on as if nothing had been refused";
  }
  const auto model = Markov::random(6, 1);
  decoded(*model, one_token(1), {.max_new_tokens = 21, .draft_tokens = 4, .prompt_lookup_tokens = 4});
  EXPECT_LT(model->passes, 15) << "a greedy Markov chain repeats itself";
}

TEST(Speculation, ARecurrentStateIsRefused) {
  for (const Subject& subject : subjects())
    if (subject.name == "mamba2") {
      EXPECT_THROW(decoded(*subject.model, {some_ids(1, 4), {}, {}}, {.prompt_lookup_tokens = 2}), Error);
    }
}

TEST(Constrained, EveryWayOfDecodingKeepsToTheConstraint) {
  const auto model = Markov::random(7, 5);  // token 6 ends
  const auto tokens = std::make_shared<TokenBytes>(std::vector<std::string>{"a", "b", "ab", "c", "1", "23", ""});
  const std::string expression = "(ab|c){2,3}1?(23)?";
  const auto constraint = grammar_constraint(expression_grammar(expression), tokens, "regex");
  const auto draft = Markov::random(7, 6);
  const GenerateHooks hooks{.constraint = constraint}, drafted{.constraint = constraint, .draft = draft.get()};
  Matcher matcher(expression_grammar(expression), "test");
  const auto check = [&](const std::vector<Generated>& made) {
    for (const Generated& one : made) {
      ASSERT_EQ(one.finish, Finish::kEnd);
      std::string text;
      for (const int64_t id : one.ids) text += tokens->of(id);
      const auto state = matcher.step(matcher.start(), text);
      EXPECT_TRUE(state != Matcher::kNone && matcher.complete(state)) << text;
    }
  };
  const GenerateOptions base{.max_new_tokens = 30, .end_ids = {6}};
  for (int64_t seed = 0; seed < 30; ++seed) {
    GenerateOptions sample = base, beams = base, contrast = base;
    sample.do_sample = true, sample.seed = seed, sample.top_p = 0.9;
    beams.num_beams = 3;
    contrast.penalty_alpha = 0.5, contrast.top_k = 3;
    check(decoded(*model, one_token(seed % 6, 2), sample, hooks));
    check(decoded(*model, one_token(seed % 6), sample, drafted));
    check(decoded(*model, one_token(seed % 6), base, hooks));
    check(decoded(*model, one_token(seed % 6, 2), beams, hooks));
    check(decoded(*model, one_token(seed % 6), contrast, hooks));
  }
}

TEST(Constrained, AnEndTokenThatSpellsTextEndsNothingTooEarly) {
  const auto model = Markov::random(4, 5);
  const auto tokens = std::make_shared<TokenBytes>(std::vector<std::string>{"a", "b", "c", "d"});
  const auto constraint = grammar_constraint(expression_grammar("[abcd]{4}"), tokens, "regex");
  for (int64_t seed = 0; seed < 10; ++seed) {
    const GenerateOptions options{.end_ids = {2}, .do_sample = true, .seed = seed};
    EXPECT_EQ(decoded(*model, one_token(0), options, {.constraint = constraint})[0].ids.size(), 4U);
  }
}

TEST(PackedCache, ChangesTheLogitsALittleAndTakesTheMemoryThatItSays) {
  const torch::NoGradGuard no_grad;
  DecoderOptions options = testing::small_llama();
  options.head_dim = 32;
  const Subject subject = testing::subject("llama", std::make_shared<Decoder>(options));
  const TextBatch text{some_ids(2, 16), {}, {}};
  LanguageState exact = subject.model->start();
  const Tensor want = subject.model->forward(text, &exact);
  for (const auto& [name, share] : {std::pair("bfloat16", 0.5), std::pair("int8", 36.0 / 128)}) {
    LanguageState state = subject.model->start();
    state.store(cache_storage(name, "test"));
    const Tensor got = subject.model->forward(text, &state);
    const double difference = (got - want).norm().item<double>() / want.norm().item<double>();
    EXPECT_LT(difference, 0.01) << name;
    EXPECT_GT(difference, 1e-7) << name << " is really packed";
    EXPECT_DOUBLE_EQ(static_cast<double>(state.cache_bytes()), share * static_cast<double>(exact.cache_bytes()));
    LanguageState again = subject.model->start();
    again.store(cache_storage(name, "test"));
    const auto made =
        decode(*subject.model, text_prompt(*subject.model, text), again, {.max_new_tokens = 4, .num_beams = 3});
    EXPECT_EQ(made[0].ids.size(), 4U) << "beams select rows of it";
  }
  for (const Subject& recurrent : subjects())
    if (recurrent.name == "mamba2") {
      LanguageState state = recurrent.start(1);
      EXPECT_THROW(state.store(CacheStorage::kInt8), Error);
    }
  EXPECT_THROW(cache_storage("int4", "test"), Error);
}

}  // namespace
}  // namespace tessera
