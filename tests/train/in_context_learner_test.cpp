#include "train/in_context_learner.h"

#include "core/error.h"
#include "metrics/in_context_language.h"
#include "models/model.h"
#include "support/training.h"

namespace tessera {
namespace {

class InContextLearnerTest : public testing::TrainingTest {
 protected:
  static Json recipe_json() {
    return {{"in_context",
             {{"languages", 7},
              {"tests", 5},
              {"automaton", {{"max_states", 4}, {"max_symbols", 4}}},
              {"text", {{"min_words", 2}, {"max_words", 4}, {"longest", 4}}},
              {"ngrams", {2}}}},
            {"model",
             {{"kind", "decoder"},
              {"dim", 16},
              {"depth", 2},
              {"heads", 2},
              {"ffn", 32},
              {"context", 64},
              {"positions", "rotary"},
              {"dropout", 0.1},
              {"mixer", {{{"kind", "attention"}}, {{"kind", "ngram"}, {"order", 1}}}}}},
            {"optimizer", {{"learning_rate", 5e-3}}},
            {"schedule", {{"warmup", 5}}},
            {"evaluation", {{"every", 10}}},
            {"steps", 20},
            {"batch", 4},
            {"precision", "float32"},
            {"ema", 0},
            {"checkpoint_every", 7},
            {"threads", 1}};
  }
};

TEST_F(InContextLearnerTest, LearnsToContinueWords) {
  Json json = recipe_json();
  json["steps"] = 150;
  json["in_context"]["languages"] = 1;
  // The tests are of other languages; of few symbols, so that what is learned of one serves some of the others.
  const RunResult before = run(recipe_json(), "short"), after = run(json, "long");
  EXPECT_LT(after.loss, 0.7 * before.loss);
}

TEST_F(InContextLearnerTest, AResumedRunIsTheUninterruptedOne) {
  Json json = recipe_json();
  json["accumulate"] = 2;  // batches that begin in the middle of a pass
  expect_resumed_is_uninterrupted(json, {9});
}

TEST_F(InContextLearnerTest, SeparatorsAndPaddingAreNotLearned) {
  Json json = recipe_json();
  json["in_context"]["languages"] = 1;  // of at most four symbols
  json["model"]["tied"] = false;
  json["model"]["head_bias"] = true;
  Recipe recipe = read_recipe(json, "");
  InContextLearner learner(recipe);
  learner.begin(0);
  learner.step(0);
  // A class's bias has the gradient p - share, p its mean probability, about 1 / 20 at first, and share of the labels.
  const Tensor gradient = learner.module().named_parameters()["head.bias"].grad();
  for (const char never : {'.', '|'})
    EXPECT_NEAR(gradient[symbol_id(never, kAutomatonVocabulary)].item<double>(), 0.05, 0.02) << never;
  EXPECT_NEAR(gradient.clamp_max(0).sum().item<double>(), -0.75, 0.25);  // the symbols of the texts have all shares
}

TEST_F(InContextLearnerTest, TheModelFolderGivesTheScoresOfTheRun) {
  const RunResult result = run(recipe_json(), "run");
  const Model model = load_model(folder_ / "run" / "model");
  Recipe recipe = read_recipe(recipe_json(), "");
  InContextLearner learner(recipe);
  double main = 0;
  NamedTensors weights;
  for (const auto& item : model.module->named_parameters()) weights.emplace_back(item.key(), item.value());
  for (const auto& item : model.module->named_buffers()) weights.emplace_back(item.key(), item.value());
  EXPECT_EQ(trained_parameters(folder_ / "run" / "model"), parameters_of(*model.module));
  EXPECT_EQ(learner.evaluate(weights, main), result.scores);
  EXPECT_EQ(main, result.scores.at("unseen languages").at("legal"));
}

TEST_F(InContextLearnerTest, TheTestsAreTheSameForEverySeed) {
  Json json = recipe_json();
  Recipe first = read_recipe(json, "");
  json["seed"] = 5;
  Recipe second = read_recipe(json, "");
  EXPECT_EQ(InContextLearner(first).summary().at("baselines"), InContextLearner(second).summary().at("baselines"));
}

TEST_F(InContextLearnerTest, RecipesThatMeanNothingAreRefused) {
  const auto refused = [](const std::string& path, const Json& value) {
    Json json = recipe_json();
    set_value(json, path + "=" + value.dump());
    EXPECT_THROW(
        {
          Recipe recipe = read_recipe(json, "");
          InContextLearner learner(recipe);
        },
        Error)
        << path;
  };
  refused("in_context.languages", 0);
  refused("in_context.automaton.max_symbols", 30);
  refused("in_context.automaton.states", 3);
  refused("in_context.ngrams", {1});
  refused("base", "somewhere");
  refused("model.vocabulary", 10);
  refused("model.kind", "automaton");
}

}  // namespace
}  // namespace tessera
