#include "train/trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "core/error.h"
#include "core/files.h"
#include "models/model.h"
#include "train/coloured_shapes.h"
#include "train/prefetcher.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;

using TrainerTest = testing::ColouredShapes;

TEST_F(TrainerTest, LearnsColoursAndShapes) {
  Json json = recipe_json();
  json["steps"] = 100;
  json["evaluation"]["every"] = 100;
  json["model"]["image"] = {
      {"kind", "hybrid-vit"}, {"image", {16, 16}}, {"stem", 16}, {"widths", {32, 32}}, {"blocks", {0, 1}}};
  json["model"]["image_pool"] = {{"kind", "mean"}};
  json["augment"] = {{"rotation", 5}, {"any_hue", 0}, {"hue", 0},     {"grayscale", 0},
                     {"cutout", 0},   {"invert", 0},  {"elastic", 0}, {"saturation_min", 1}};
  Trainer trainer(read_recipe(json, ""), {.folder = folder_ / "run"});
  const RunResult result = trainer.run();
  EXPECT_TRUE(result.finished);
  EXPECT_GT(result.scores.at("en").at("top1"), 0.9);
  EXPECT_TRUE(fs::exists(folder_ / "run" / "best.safetensors"));
  EXPECT_THAT(read_file(folder_ / "run" / "report.html"), ::testing::HasSubstr("<polyline"));

  trainer.save_model_folder(folder_ / "model");
  const Model model = load_model(folder_ / "model");
  EXPECT_TRUE(model.processor && model.tokenizer);
  const int64_t proxies = 4 * 16 + 1;  // a vector for each of the four symbols, and the scale
  EXPECT_EQ(trained_parameters(folder_ / "model"), parameters_of(*model.module) + proxies);
  EXPECT_NO_THROW(model.as<DualEncoder>("be tested"));
}

TEST_F(TrainerTest, AResumedRunIsTheUninterruptedOne) {
  Json later = recipe_json();
  later["workers"] = 1;  // what prepares the batches changes nothing
  expect_resumed_is_uninterrupted(recipe_json(), {9}, "", later);
}

TEST_F(TrainerTest, NamesGoOnAloneAndLeaveThePicturesAsTheyAre) {
  Json json = recipe_json();
  json["objective"] = {{"image_proxies", 1}, {"text_proxies", 1}, {"text_alignment", 1}};
  run(json, "pictures");
  const auto steps = json["steps"].get<int64_t>();
  json["names"] = {{"steps", 8}, {"candidates", 4}, {"languages_per_step", 1}};
  expect_resumed_is_uninterrupted(json, {steps + 3});
  EXPECT_EQ(run(json, "whole").step, steps + 8);

  const Checkpoint before = state("pictures"), after = state("whole");
  for (const auto& [name, info] : before.tensors()) {
    const bool of_pictures = name.starts_with("model.image") || name == "proxies";
    EXPECT_TRUE(!of_pictures || before.tensor(name).equal(after.tensor(name))) << name;
  }
  EXPECT_FALSE(before.tensor("model.text_projection.weight").equal(after.tensor("model.text_projection.weight")));
}

TEST_F(TrainerTest, WhatWasWrittenAfterTheLastCheckpointIsDone) {
  const Json json = recipe_json();
  run(json, "whole");
  run(json, "killed", [](int64_t step) { return step == 10; });
  MetricsLog(folder_ / "killed" / "metrics.jsonl",
             static_cast<int64_t>(fs::file_size(folder_ / "killed" / "metrics.jsonl")))
      .write({{"step", 11}, {"loss", 5}});
  run(json, "killed");
  EXPECT_EQ(metrics("whole"), metrics("killed"));
}

TEST_F(TrainerTest, StopsInOrderWhenASignalComes) {
  const Json json = recipe_json();
  const RunResult result = run(json, "stopped", [](int64_t step) {
    if (step == 4) std::raise(SIGTERM);
    return false;
  });
  EXPECT_FALSE(result.finished);
  EXPECT_LE(result.step, 5);
  run(json, "stopped");
  run(json, "whole");
  expect_same_state("whole", "stopped");
}

TEST_F(TrainerTest, AFolderOfAnotherRecipeIsRefused) {
  Json json = recipe_json();
  run(json, "run", [](int64_t) { return true; });
  json["optimizer"]["learning_rate"] = 1e-3;
  try {
    run(json, "run");
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("optimizer.learning_rate"));
  }
}

TEST_F(TrainerTest, AnInfiniteLossNamesTheStep) {
  Json json = recipe_json();
  json["optimizer"]["learning_rate"] = 1e30;
  json["schedule"]["warmup"] = 0;
  try {
    run(json, "run");
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("step "));
  }
}

TEST_F(TrainerTest, AGradientThatIsNotFiniteNamesTheTensor) {
  Trainer trainer(read_recipe(recipe_json(), ""), {.folder = folder_ / "run"});
  const torch::NoGradGuard no_gradient;
  for (auto& item : trainer.learner().module().named_parameters())
    if (item.key() == "image_projection.weight")
      item.value().register_hook([](const Tensor& gradient) { return gradient * std::nanf(""); });
  try {
    torch::AutoGradMode gradient(true);
    trainer.run();
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(),
                ::testing::AllOf(::testing::HasSubstr("step 0"), ::testing::HasSubstr("image_projection.weight")));
  }
}

TEST_F(TrainerTest, RefusesHeldOutPictures) {
  write_shard("held", 4, 5, "unseen-style");
  Json json = recipe_json();
  json["data"]["sources"][0]["shards"] = {(folder_ / "held.tar").string()};
  EXPECT_THROW(run(json, "run"), Error);
}

TEST_F(TrainerTest, ReplicasComeToTheSameWeights) {
  Json json = recipe_json();
  json["model"]["image"]["drop_path"] = 0;
  json["steps"] = 3;
  json["evaluation"]["every"] = 0;
  run(json, "one");
  json["replicas"] = 3;
  run(json, "three");
  run(json, "again");
  expect_same_state("three", "again");
  const Checkpoint one = state("one"), three = state("three");
  const char* name = "model.image_projection.weight";
  EXPECT_LT((one.tensor(name) - three.tensor(name)).abs().max().item<double>(), 2e-3);
}

TEST_F(TrainerTest, ReplicasWithRunningMeansResumeAndLeaveThemToTheNames) {
  Json json = recipe_json();
  json["model"]["image"] = {
      {"kind", "hybrid-vit"}, {"image", {16, 16}}, {"stem", 16}, {"widths", {32, 32}}, {"blocks", {0, 1}}};
  json["model"]["image_pool"] = {{"kind", "mean"}};
  json["objective"] = {{"image_proxies", 1}};
  json["replicas"] = 2;
  const auto steps = json["steps"].get<int64_t>();
  run(json, "pictures");
  json["names"] = {{"steps", 4}, {"candidates", 4}, {"languages_per_step", 1}};
  expect_resumed_is_uninterrupted(json, {steps / 2, steps + 2});
  const Checkpoint before = state("pictures"), after = state("whole");
  for (const auto& [name, info] : before.tensors())
    EXPECT_TRUE(!name.starts_with("model.image") || before.tensor(name).equal(after.tensor(name))) << name;
}

TEST_F(TrainerTest, AccumulatesMicroBatches) {
  Json json = recipe_json();
  json["steps"] = 4;
  json["accumulate"] = 2;
  json["batch"] = 8;
  EXPECT_TRUE(run(json, "run").finished);
}

TEST(Prefetcher, KeepsTheOrderAndPassesErrorsOn) {
  Prefetcher<int64_t> numbers([](int64_t i) { return i == 7 ? throw Error("seven") : i * i; }, 0, 20, 3, 4);
  for (int64_t i = 0; i < 7; ++i) EXPECT_EQ(numbers.next(), i * i);
  EXPECT_THROW(numbers.next(), Error);
}

}  // namespace
}  // namespace tessera
