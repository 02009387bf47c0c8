#include "train/learner.h"

#include <gtest/gtest.h>

namespace tessera {
namespace {

int64_t steps_of(double epochs, int64_t samples, Rounding rounding = Rounding::kNearest) {
  Recipe recipe;
  recipe.epochs = epochs, recipe.batch = 4, recipe.accumulate = 2;
  fill_steps(recipe, samples, rounding);
  return recipe.steps;
}

TEST(FillSteps, StepsArePassesOverTheSamples) {
  EXPECT_EQ(steps_of(3, 16), 6);
  EXPECT_EQ(steps_of(0.5, 16), 1);
  EXPECT_EQ(steps_of(1, 19), 2);
  EXPECT_EQ(steps_of(1, 21), 3);
  EXPECT_EQ(steps_of(1, 1), 1);  // never none
}

TEST(FillSteps, ALastPassCanBeFinished) {
  EXPECT_EQ(steps_of(1, 17, Rounding::kUp), 3);
  EXPECT_EQ(steps_of(1, 16, Rounding::kUp), 2);
}

TEST(FillSteps, StepsThatAreGivenStay) {
  Recipe recipe;
  recipe.steps = 5, recipe.epochs = 2;
  fill_steps(recipe, 1000);
  EXPECT_EQ(recipe.steps, 5);
}

}  // namespace
}  // namespace tessera
