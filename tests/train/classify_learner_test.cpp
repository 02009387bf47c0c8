#include "train/classify_learner.h"

#include <gmock/gmock.h>

#include "core/error.h"
#include "tasks/classify.h"
#include "train/coloured_shapes.h"

namespace tessera {
namespace {

/// The coloured shapes as classes, by their names: "blue bar", "blue square", "red bar", "red square".
class ClassifyLearnerTest : public testing::ColouredShapes {
 protected:
  Json classify_json(const Json& encoder = {}) const {
    Json json = recipe_json();
    const Json& image = json["model"]["image"];
    json["classify"] = "name";
    json["model"] = {{"encoder", encoder.is_null() ? image : encoder}, {"pool", {{"kind", "mean"}}}};
    json["objective"] = {{"label_smoothing", 0.1}};
    json["schedule"]["warmup"] = 5;
    for (const char* key : {"tokenizer", "captions"}) json.erase(key);
    return json;
  }
};

TEST_F(ClassifyLearnerTest, LearnsTheClassesAndSavesAFolderThatNamesThem) {
  Json json = classify_json();
  json["steps"] = 80;
  json["evaluation"]["every"] = 80;
  Trainer trainer(read_recipe(json, ""), {.folder = folder_ / "run"});
  const RunResult result = trainer.run();
  EXPECT_GT(result.scores.at("name").at("top1"), 0.9);  // a quarter by chance
  const auto lines = read_metrics(folder_ / "run" / "metrics.jsonl");
  EXPECT_LT(lines.at(3).at("loss").get<double>(), 0.85 * lines.at(0).at("loss").get<double>());

  trainer.save_model_folder(folder_ / "model");
  const Model model = load_model(folder_ / "model");
  EXPECT_EQ(trained_parameters(folder_ / "model"), parameters_of(*model.module));
  const PictureClassifier classifier(model, {});
  EXPECT_THAT(classifier.labels(), ::testing::ElementsAre("blue bar", "blue square", "red bar", "red square"));
  const ClassEvaluation again =
      evaluate_classes(model, {.data = {(folder_ / "test.tar").string()}, .by = "name", .limit = 0});
  EXPECT_EQ(again.model.top1, result.scores.at("name").at("top1"));
  EXPECT_NEAR(again.model.loss, result.scores.at("name").at("loss"), 1e-5);
  EXPECT_DOUBLE_EQ(again.majority, 0.25);
}

TEST_F(ClassifyLearnerTest, AResumedRunIsTheUninterruptedOne) {
  Json json = classify_json();
  expect_resumed_is_uninterrupted(json, {9});
  json["accumulate"] = 3;
  json["batch"] = 5;  // so that a step begins in the middle of a pass
  expect_resumed_is_uninterrupted(json, {4}, "accumulated-");
}

TEST_F(ClassifyLearnerTest, TheEncoderIsAnyThatTheRecipeNames) {
  for (const Json& encoder : {Json{{"kind", "swin"},
                                   {"image", {16, 16}},
                                   {"patch", 2},
                                   {"dim", 16},
                                   {"depths", {1, 1}},
                                   {"heads", {1, 2}},
                                   {"windows", {4, 4}}},
                              Json{{"kind", "vit"},
                                   {"image", {16, 16}},
                                   {"patch", {4, 4}},
                                   {"dim", 16},
                                   {"depth", 2},
                                   {"heads", 2},
                                   {"ffn", 32},
                                   {"class_token", false},
                                   {"mixer", {{"kind", "mlstm"}, {"heads", 2}}}}}) {
    Json json = classify_json(encoder);
    json["steps"] = 3;
    EXPECT_TRUE(run(json, encoder.at("kind")).finished);
  }
}

TEST_F(ClassifyLearnerTest, PicturesWithoutClassesAreRefused) {
  Json json = classify_json();
  json["classify"] = "group";  // the shapes have none
  EXPECT_THAT(testing::error_of([&] { run(json, "run"); }), ::testing::HasSubstr("no two classes by their group"));
}

TEST_F(ClassifyLearnerTest, ClassesAndABaseExcludeEachOther) {
  Json json = classify_json();
  json["base"] = "somewhere";
  EXPECT_THAT(testing::error_of([&] { read_recipe(json, ""); }), ::testing::HasSubstr("classify"));
}

}  // namespace
}  // namespace tessera
