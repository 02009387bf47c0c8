#include "train/study.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/files.h"
#include "core/progress.h"
#include "support/scratch.h"
#include "tasks/backbones.h"
#include "train/coloured_shapes.h"

namespace tessera {
namespace {

class StudyTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Progress::quiet = true;
    write_file(folder_ / "recipe.json", Json{{"in_context",
                                              {{"languages", 3},
                                               {"tests", 2},
                                               {"automaton", {{"max_states", 4}, {"max_symbols", 4}}},
                                               {"text", {{"min_words", 2}, {"max_words", 3}, {"longest", 4}}},
                                               {"ngrams", {2}}}},
                                             {"model",
                                              {{"kind", "decoder"},
                                               {"dim", 8},
                                               {"depth", 1},
                                               {"heads", 2},
                                               {"ffn", 8},
                                               {"context", 32},
                                               {"positions", "rotary"}}},
                                             {"evaluation", {{"every", 4}}},
                                             {"steps", 4},
                                             {"batch", 2},
                                             {"precision", "float32"},
                                             {"ema", 0},
                                             {"threads", 1}}
                                            .dump());
  }

  std::filesystem::path write(const Json& study) {
    write_file(folder_ / "study.json", study.dump());
    return folder_ / "study.json";
  }

  static Json two_variants() {
    return {{"recipe", "recipe.json"},
            {"seeds", {0, 1}},
            {"variants",
             {{{"name", "attention"}},
              {{"name", "n-gram + attention"}, {"set", {{"model.mixer", {{"kind", "ngram"}}}, {"steps", 5}}}}}}};
  }

  testing::Scratch scratch_;
  std::filesystem::path folder_ = scratch_.path();
};

TEST_F(StudyTest, TrainsEveryVariantWithEverySeedAndComparesThem) {
  Study study(write(two_variants()), folder_ / "runs");
  EXPECT_TRUE(study.run());
  const auto rows = study.rows();
  ASSERT_EQ(rows.size(), 3u);  // and the n-gram learner
  EXPECT_EQ(rows[0].name, "attention");
  EXPECT_EQ(rows[1].measures.at("unseen languages legal").size(), 2u);
  EXPECT_GT(rows[0].parameters, 0);
  EXPECT_EQ(rows[1].steps, 5);
  EXPECT_EQ(rows[2].name, "2-gram learner");
  EXPECT_EQ(rows[2].measures.at("unseen languages legal").size(), 1u);
  const Json recipe = read_json(folder_ / "runs" / "n-gram-attention-1" / "recipe.json");
  EXPECT_EQ(recipe.at("seed"), 1);
  EXPECT_EQ(recipe.at("steps"), 5);
  EXPECT_EQ(recipe.at("model").at("mixer").at("kind"), "ngram");
}

TEST_F(StudyTest, AStoppedStudyGoesOnAndFinishedRunsStayAsTheyAre) {
  const auto file = write(two_variants());
  int64_t left = 6;
  EXPECT_FALSE(Study(file, folder_ / "runs").run([&](int64_t) { return --left == 0; }));
  const auto first = folder_ / "runs" / "attention-0" / "model" / "metrics.json";
  const std::string before = read_file(first);
  ASSERT_EQ(Study(file, folder_ / "runs").rows()[0].measures.size(), 2u);
  int64_t steps = 0;
  EXPECT_TRUE(Study(file, folder_ / "runs").run([&](int64_t) { return ++steps < 0; }));
  EXPECT_EQ(read_file(first), before);
  EXPECT_EQ(steps, 2 * 4 + 2 * 5 - 6);
}

TEST_F(StudyTest, ARunThatWasKilledBeforeItsModelWasWrittenIsMeasured) {
  const auto file = write(two_variants());
  Study(file, folder_ / "runs").run([](int64_t) { return true; });  // after the first step
  const auto folder = folder_ / "runs" / "attention-0";
  Trainer(read_recipe(read_json(folder / "recipe.json"), ""), {.folder = folder}).run();
  ASSERT_FALSE(std::filesystem::exists(folder / "model"));
  EXPECT_TRUE(Study(file, folder_ / "runs").run());
  EXPECT_EQ(Study(file, folder_ / "runs").rows()[0].measures.at("unseen languages legal").size(), 2u);
}

TEST_F(StudyTest, FinishedRunsKeepNoStateAndMustHaveHadTheSameRecipe) {
  Json study = two_variants();
  study["seeds"] = {0};
  Study(write(study), folder_ / "runs").run();
  EXPECT_FALSE(std::filesystem::exists(folder_ / "runs" / "attention-0" / "state.safetensors"));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "runs" / "attention-0" / "model" / "model.safetensors"));
  study["variants"][0]["set"] = {{"steps", 6}};
  const std::string said = testing::error_of([&] { Study(write(study), folder_ / "runs").run(); });
  EXPECT_THAT(said, ::testing::AllOf(::testing::HasSubstr("'steps'"), ::testing::HasSubstr("attention-0")));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "runs" / "attention-0" / "state.safetensors"));
}

TEST_F(StudyTest, APartOfItCanBeChosen) {
  Json study = two_variants();
  study["variants"].push_back({{"name", "base"}, {"listed", false}});
  Study chosen(write(study), folder_ / "runs", {.only = {"attention"}, .seeds = 1});
  EXPECT_TRUE(chosen.run());
  EXPECT_EQ(chosen.rows().size(), 2u);
  EXPECT_TRUE(std::filesystem::exists(folder_ / "runs" / "base-0"));  // others may build on it
  EXPECT_FALSE(std::filesystem::exists(folder_ / "runs" / "n-gram-attention-0"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "runs" / "attention-1"));
  EXPECT_THROW(Study(write(study), folder_ / "runs", {.only = {"attentoin"}}), Error);
}

TEST_F(StudyTest, TextsOfARecipeNameSeedAndRuns) {
  Json study = two_variants();
  study["variants"][1]["set"] = {{"captions.languages", {{"{runs}/attention-{seed}/model", 1}}},
                                 {"tokenizer.corpus", "{runs}/attention-{seed}/model"}};
  Study made(write(study), folder_ / "runs");
  made.run();
  EXPECT_EQ(read_json(folder_ / "runs" / "n-gram-attention-1" / "recipe.json").at("tokenizer").at("corpus"),
            (folder_ / "runs").string() + "/attention-1/model");
}

TEST_F(StudyTest, StudiesThatMeanNothingAreRefused) {
  const auto refused = [&](const Json& study) { EXPECT_THROW(Study(write(study), folder_ / "runs"), Error) << study; };
  refused({{"recipe", "recipe.json"}});
  refused({{"recipe", "recipe.json"}, {"variants", {{{"name", "a b"}}, {{"name", "A-b"}}}}});
  refused({{"recipe", "nothing.json"}, {"variants", {{{"name", "a"}}}}});
  refused({{"recipe", "recipe.json"}, {"variants", {{{"name", "a"}, {"set", {{"stpes", 3}}}}}}});
}

class BackboneStudyTest : public testing::ColouredShapes {
 protected:
  static Json vit(int64_t depth) {
    return {{"kind", "vit"},  {"image", {16, 16}}, {"patch", {4, 4}}, {"dim", 16},
            {"depth", depth}, {"heads", 2},        {"ffn", 32}};
  }

  double flops_of_shallow() const { return training_flops({{"encoder", vit(1)}, {"pool", {{"kind", "mean"}}}}, 16); }

  std::filesystem::path write(double budget, const Json& changed = Json::object()) {
    Json recipe = recipe_json();
    for (const char* key : {"model", "steps", "tokenizer", "captions", "objective"}) recipe.erase(key);
    recipe["classify"] = "name";
    recipe.update(changed);
    write_file(folder_ / "recipe.json", recipe.dump());
    const Json backbones = {{{"name", "shallow"}, {"encoder", vit(1)}}, {{"name", "deep"}, {"encoder", vit(2)}}};
    write_file(folder_ / "backbones.json", backbones.dump());
    const Json study = {
        {"recipe", "recipe.json"}, {"backbones", "backbones.json"}, {"budget", budget}, {"seeds", {0, 1}}};
    write_file(folder_ / "study.json", study.dump());
    return folder_ / "study.json";
  }
};

TEST_F(BackboneStudyTest, EveryBackboneHasTheSameArithmetic) {
  const double budget = 10 * 16 * flops_of_shallow();
  Study study(write(budget), folder_ / "runs");
  EXPECT_TRUE(study.run());
  const auto rows = study.rows();
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].steps, 10);
  EXPECT_LT(rows[1].steps, 10);
  for (const auto& row : rows) {
    EXPECT_NEAR(static_cast<double>(row.steps) * 16 * row.flops, budget, 16 * row.flops / 2);
    EXPECT_EQ(row.measures.at("name top1").size(), 2u);
  }
  EXPECT_GT(rows[1].parameters, rows[0].parameters);
  EXPECT_TRUE(std::filesystem::exists(folder_ / "runs" / "deep-1" / "model" / "model.safetensors"));
}

TEST_F(BackboneStudyTest, BudgetsThatMeanNothingAreRefused) {
  const auto said = [&](double budget, const Json& changed) {
    return testing::error_of([&] { Study(write(budget, changed), folder_ / "runs"); });
  };
  EXPECT_THAT(said(1e9, {{"steps", 5}}), ::testing::HasSubstr("steps"));
  EXPECT_THAT(said(1, Json::object()), ::testing::HasSubstr("larger budget"));
  EXPECT_THAT(said(-1, {{"steps", 5}}), ::testing::HasSubstr("budget"));
}

TEST(MeanAndDeviation, IsThatOfASample) {
  EXPECT_EQ(mean_and_deviation({0.5, 0.7}, true), "60.0 ± 14.1");
  EXPECT_EQ(mean_and_deviation({0.5, 0.7}, false), "0.600 ± 0.141");
  EXPECT_EQ(mean_and_deviation({0.5}, true), "50.0");
  EXPECT_EQ(mean_and_deviation({}, true), "-");
}

}  // namespace
}  // namespace tessera
