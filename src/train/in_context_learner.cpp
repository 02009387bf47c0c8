#include "train/in_context_learner.h"

#include <algorithm>

#include "core/compat.h"
#include "core/error.h"
#include "metrics/in_context_language.h"
#include "models/model.h"
#include "train/ema.h"
#include "train/sample_order.h"

namespace tessera {
namespace {

constexpr uint64_t kLanguages = 21, kOrder = 22, kWords = 23;  // purposes of draws; see picture_sampler.cpp
constexpr uint64_t kTests = 0x1CC1;                            // the seed of the tests, whatever the recipe's is
constexpr int64_t kIgnored = -100;
constexpr size_t kBlock = 50;  // texts that are scored at once

/// B x L, filled up with '.' at the end: what is causal does not see it before.
Tensor ids_of(std::span<const std::string> texts) {
  size_t longest = 0;
  for (const auto& text : texts) longest = std::max(longest, text.size());
  Tensor ids = torch::full({static_cast<int64_t>(texts.size()), static_cast<int64_t>(longest)},
                           symbol_id('.', kAutomatonVocabulary), torch::kInt64);
  auto* row = ids.data_ptr<int64_t>();
  for (const auto& text : texts) {
    for (size_t i = 0; i < text.size(); ++i) row[i] = symbol_id(text[i], kAutomatonVocabulary);
    row += longest;
  }
  return ids;
}

Tensor labels_of(const Tensor& ids) {
  const Tensor ignored = ids.eq(symbol_id('.', kAutomatonVocabulary)) | ids.eq(symbol_id('|', kAutomatonVocabulary));
  return ids.masked_fill(ignored, kIgnored);
}

std::map<std::string, double> mean_of(const std::vector<InContextScore>& scores) {
  double legal = 0, distance = 0;
  for (const auto& score : scores) legal += score.legal, distance += score.distance;
  const auto count = static_cast<double>(scores.size());
  return {{"legal", legal / count}, {"distance", distance / count}};
}

}  // namespace

void check_in_context(const InContextOptions& options, const std::string& where) {
  check_automata(options.automaton, options.text, where);
  for (const auto& [name, count] : {std::pair{"languages", options.languages}, {"tests", options.tests}})
    if (count < 1) throw Error("must be positive", where + "." + name);
  for (const int64_t order : options.ngrams)
    if (order < 2) throw Error("an n-gram learner has an order of at least 2", where + ".ngrams");
}

InContextLearner::InContextLearner(Recipe& recipe) : ModelLearner(recipe, "texts"), options_(*recipe.in_context) {
  Random random(mix_seed(static_cast<uint64_t>(recipe.seed), kLanguages));
  for (int64_t i = 0; i < options_.languages; ++i) languages_.push_back(random_automaton(options_.automaton, random));
  if (evaluates()) read_tests();
  seed_torch(recipe_, Draw::kWeights);
  model_ = make();
  model_->train();
  averaged_ = make();
  averaged_->eval();
  fill_steps(recipe, options_.languages);
}

void InContextLearner::read_tests() {
  Random random(kTests);
  while (static_cast<int64_t>(tests_.size()) < options_.tests) {
    const Transitions automaton = random_automaton(options_.automaton, random);
    const std::string text = random_text(automaton, options_.text, random);
    const Tensor places = predicted_places(text);
    if (places.numel() == 0) continue;  // all words are of one symbol
    tests_.push_back({text, automaton_probabilities(Automaton(automaton), text, kAutomatonVocabulary), places});
  }
}

Json InContextLearner::config() const {
  Json options = recipe_.model;
  if (options.is_object() && !options.contains("vocabulary")) options["vocabulary"] = kAutomatonVocabulary;
  return {{"model_type", "tessera-language-model"}, {"language_model", options}};
}

std::shared_ptr<LanguageModel> InContextLearner::make() const {
  auto model = std::dynamic_pointer_cast<LanguageModel>(make_model(config(), "recipe").module);
  if (model->vocabulary() < kAutomatonVocabulary)
    throw Error("there are " + std::to_string(kAutomatonVocabulary) + " characters", "model.vocabulary",
                "leave it out");
  return model;
}

/// The texts of a micro-batch: every pass takes the languages in another order, and draws new words of each.
std::vector<std::string> InContextLearner::texts(int64_t micro) const {
  std::vector<std::string> texts;
  auto number = static_cast<uint64_t>(micro * recipe_.batch);  // of the text, in the whole run
  for (const int64_t language : chosen_samples({recipe_.seed, kOrder, options_.languages, recipe_.batch}, micro)) {
    Random random(mix_seed(static_cast<uint64_t>(recipe_.seed), kWords, number++));
    texts.push_back(random_text(languages_[static_cast<size_t>(language)], options_.text, random));
  }
  return texts;
}

Tensor InContextLearner::loss_of(int64_t micro) {
  const Tensor ids = ids_of(texts(micro));
  const Autocast autocast(precision_of(recipe_));
  return next_token_loss(model_->forward({ids, {}, {}}).to(torch::kFloat32), labels_of(ids));
}

Scores InContextLearner::evaluate(const NamedTensors& averages, double& main) {
  const torch::NoGradGuard no_gradient;
  copy_weights(averages, *averaged_);
  std::vector<InContextScore> scores;
  for (size_t begin = 0; begin < tests_.size(); begin += kBlock) {
    std::vector<std::string> block;
    for (size_t i = begin; i < std::min(begin + kBlock, tests_.size()); ++i) block.push_back(tests_[i].text);
    const Tensor given = averaged_->forward({ids_of(block), {}, {}}).to(torch::kFloat64).softmax(-1);
    for (size_t i = 0; i < block.size(); ++i) {
      const Test& test = tests_[begin + i];
      const Tensor rows = given[static_cast<int64_t>(i)].slice(1, 0, kAutomatonVocabulary);
      scores.push_back(score_in_context(rows, test.wanted, test.places));
    }
  }
  const auto mean = mean_of(scores);
  main = mean.at("legal");
  return {{"unseen languages", mean}};
}

void InContextLearner::save_model_folder(const NamedTensors& averages, const std::filesystem::path& folder) const {
  Model model = make_model(config(), "recipe");
  copy_weights(averages, *model.module);
  save_model(model, folder);
}

Json InContextLearner::data_summary() const {
  Json baselines = Json::object();
  for (const int64_t order : options_.ngrams) {
    std::vector<InContextScore> scores;
    for (const Test& test : tests_)
      scores.push_back(score_in_context(ngram_probabilities(test.text, kAutomatonVocabulary, {.order = order}),
                                        test.wanted, test.places));
    if (!scores.empty()) baselines[std::to_string(order) + "-gram learner"] = mean_of(scores);
  }
  return {{"languages", options_.languages}, {"baselines", baselines}};
}

}  // namespace tessera
