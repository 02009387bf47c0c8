#include "train/comparison.h"

#include <gmock/gmock.h>

#include "core/error.h"
#include "train/coloured_shapes.h"

namespace tessera {
namespace {

class ComparisonTest : public testing::ColouredShapes {
 protected:
  ComparisonOptions options() const {
    Json recipe = recipe_json();
    for (const char* key : {"model", "steps", "tokenizer", "captions", "objective"}) recipe.erase(key);
    recipe["classify"] = "name";
    const Json vit = {{"kind", "vit"}, {"image", {16, 16}}, {"patch", {4, 4}}, {"dim", 16},
                      {"depth", 1},    {"heads", 2},        {"ffn", 32}};
    Json deep = vit;
    deep["depth"] = 2;
    return {.name = "shapes",
            .recipe = recipe,
            .backbones = {{"shallow", vit}, {"deep", deep}},
            .seeds = 2,
            .budget = 10 * 16 * training_flops({{"encoder", vit}, {"pool", {{"kind", "mean"}}}}, 16),
            .folder = folder_ / "runs"};
  }
};

TEST_F(ComparisonTest, GivesEveryBackboneTheSameArithmetic) {
  const ComparisonOptions o = options();
  EXPECT_TRUE(compare(o));
  const auto table = compared(o);
  ASSERT_EQ(table.size(), 2u);
  EXPECT_EQ(table[0].runs.at(0).steps, 10);
  EXPECT_LT(table[1].runs.at(0).steps, 10);
  for (const auto& row : table) {
    ASSERT_EQ(row.runs.size(), 2u);
    EXPECT_NEAR(static_cast<double>(row.runs[0].steps) * 16 * row.flops, o.budget, 16 * row.flops / 2);
    EXPECT_EQ(row.runs[1].seed, 1);
  }
  EXPECT_TRUE(std::filesystem::exists(o.folder / "shapes" / "deep" / "1" / "model" / "model.safetensors"));
}

TEST_F(ComparisonTest, WhatIsFinishedIsNotDoneAgain) {
  ComparisonOptions o = options();
  o.seeds = 1;
  compare(o);
  const auto result = o.folder / "shapes" / "shallow" / "0" / "result.json";
  const auto before = std::filesystem::last_write_time(result);
  compare(o);
  EXPECT_EQ(std::filesystem::last_write_time(result), before);
  o.budget *= 2;
  EXPECT_THAT(testing::error_of([&] { compare(o); }), ::testing::HasSubstr("steps"));
}

TEST_F(ComparisonTest, RefusesWhatItGivesItself) {
  ComparisonOptions o = options();
  o.recipe["steps"] = 5;
  EXPECT_THAT(testing::error_of([&] { compare(o); }), ::testing::HasSubstr("steps"));
  o = options();
  o.budget = 1;
  EXPECT_THAT(testing::error_of([&] { compare(o); }), ::testing::HasSubstr("budget"));
}

TEST(MeanAndSpread, AreThoseOfASample) {
  const MeanAndSpread found = mean_and_spread({1, 2, 3});
  EXPECT_DOUBLE_EQ(found.mean, 2);
  EXPECT_DOUBLE_EQ(found.spread, 1);
  EXPECT_DOUBLE_EQ(mean_and_spread({4}).spread, 0);
}

}  // namespace
}  // namespace tessera
