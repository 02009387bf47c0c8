#include "train/recipe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"

namespace tessera {
namespace {

Json minimal() {
  return {{"model", Json::object()}, {"steps", 10}, {"data", {{"sources", {{{"shards", {"a.tar"}}}}}}}};
}

std::string complaint(const Json& json) {
  try {
    read_recipe(json, "r.json");
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Recipe, NamesAloneNeedTheVectorsOfThePictures) {
  Json json = minimal();
  json["names"] = {{"steps", 1}};
  EXPECT_THAT(complaint(json), testing::HasSubstr("image_proxies"));
  json["objective"] = {{"image_proxies", 1}};
  EXPECT_EQ(complaint(json), "");
}

TEST(Recipe, NamesUnknownKeysAndTheNearest) {
  Json json = minimal();
  json["optimizer"]["learning_rte"] = 1;
  EXPECT_THAT(complaint(json), testing::HasSubstr("learning_rate"));
  json = minimal();
  json["augment"]["rotations"] = 1;
  EXPECT_THAT(complaint(json), testing::HasSubstr("rotation"));
  json = minimal();
  json["augment_start"]["hues"] = 1;
  EXPECT_THAT(complaint(json), testing::HasSubstr("hue"));
}

TEST(Recipe, RefusesWhatMakesNoSense) {
  EXPECT_EQ(complaint(minimal()), "");
  for (const auto& [key, value] : std::vector<std::pair<std::string, Json>>{{"batch", 0},
                                                                            {"epochs", 2},
                                                                            {"precision", "float16"},
                                                                            {"ema", 1},
                                                                            {"workers", 0},
                                                                            {"checkpoint_every", 0}}) {
    Json json = minimal();
    json[key] = value;
    EXPECT_THAT(complaint(json), testing::HasSubstr(key == "epochs" ? "steps" : key)) << key;
  }
  Json json = minimal();
  json["model"]["image"]["drop_path"] = 0.1;
  json["replicas"] = 2;
  EXPECT_THAT(complaint(json), testing::HasSubstr("replicas"));
}

TEST(Recipe, IsSetByKey) {
  Json json = minimal();
  set_value(json, "optimizer.learning_rate=1e-4");
  set_value(json, "captions.languages={\"de\": 2}");
  set_value(json, "precision=float32");
  const Recipe recipe = read_recipe(json, "");
  EXPECT_EQ(recipe.optimizer.learning_rate, 1e-4);
  EXPECT_EQ(recipe.captions.languages.at("de"), 2);
  EXPECT_EQ(recipe.precision, "float32");
  EXPECT_THROW(set_value(json, "steps"), Error);
  EXPECT_THROW(set_value(json, "steps.more=1"), Error);
}

TEST(Recipe, SurvivesItsJson) {
  const Recipe recipe = read_recipe(minimal(), "");
  EXPECT_EQ(difference(recipe, read_recipe(write_options(recipe), "")), "");
}

TEST(Recipe, TellsWhereTwoDiffer) {
  const Recipe recipe = read_recipe(minimal(), "");
  Recipe other = recipe;
  other.workers = 7;
  other.evaluation.every = 3;
  EXPECT_EQ(difference(recipe, other), "");
  other.optimizer.beta2 = 0.5;
  EXPECT_EQ(difference(recipe, other), "optimizer.beta2");
}

}  // namespace
}  // namespace tessera
