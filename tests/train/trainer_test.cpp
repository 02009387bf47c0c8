#include "train/trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "core/error.h"
#include "core/files.h"
#include "core/progress.h"
#include "data/archive.h"
#include "models/model.h"
#include "support/scratch.h"
#include "train/prefetcher.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;

/// Two colours times two shapes, each in several sizes, as a shard with a tokenizer beside it.
class TrainerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Progress::quiet = true;
    write_shard("train", 4, 9);
    write_shard("test", 5, 8);
    write_file(folder_ / "words" / "vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nred\nblue\nsquare\nbar\n");
  }

  static Image draw(bool red, bool square, int64_t radius) {
    Image image(24, 24, 4);
    for (int64_t y = 0; y < 24; ++y)
      for (int64_t x = 0; x < 24; ++x) {
        const int64_t dy = std::abs(y - 12), dx = std::abs(x - 12);
        const bool inside = dx < radius && dy < (square ? radius : 2);
        if (inside) image.at(y, x, red ? 0 : 2) = image.at(y, x, 3) = 255;
      }
    return image;
  }

  void write_shard(const std::string& name, int64_t smallest, int64_t largest, const std::string& split = "train") {
    std::vector<TarMember> members;
    for (int64_t radius = smallest; radius <= largest; ++radius)
      for (int kind = 0; kind < 4; ++kind) {
        const std::string colour = kind < 2 ? "red" : "blue", shape = kind % 2 == 0 ? "square" : "bar";
        const std::string key = colour + "-" + shape + "-" + std::to_string(radius);
        const std::vector<uint8_t> png = encode_png(draw(kind < 2, kind % 2 == 0, radius));
        members.push_back({key + ".png", std::string(png.begin(), png.end())});
        const Json json = {{"id", colour + shape}, {"captions", {{"en", colour + " " + shape}}}, {"split", split}};
        members.push_back({key + ".json", json.dump()});
      }
    write_file(folder_ / (name + ".tar"), make_tar(members));
  }

  Json recipe_json() const {
    return {{"model",
             {{"image",
               {{"kind", "vit"},
                {"image", {16, 16}},
                {"patch", {4, 4}},
                {"dim", 32},
                {"depth", 2},
                {"heads", 2},
                {"ffn", 64},
                {"drop_path", 0.1}}},
              {"text",
               {{"kind", "text-transformer"},
                {"context", 8},
                {"dim", 32},
                {"depth", 1},
                {"heads", 2},
                {"ffn", 64},
                {"causal", false}}},
              {"text_pool", "mean"},
              {"dim", 16}}},
            {"tokenizer", {{"path", (folder_ / "words").string()}}},
            {"data", {{"sources", {{{"shards", {(folder_ / "train.tar").string()}}}}}, {"size", 16}}},
            {"captions", {{"candidates", 4}}},
            {"augment",
             {{"any_hue", 0}, {"hue", 0}, {"grayscale", 0}, {"cutout", 0}, {"invert", 0}, {"saturation_min", 1}}},
            {"objective", {{"image_proxies", 0.5}, {"text_proxies", 0.5}}},
            {"optimizer", {{"learning_rate", 3e-3}}},
            {"schedule", {{"warmup", 5}}},
            {"evaluation", {{"every", 10}, {"shards", {(folder_ / "test.tar").string()}}}},
            {"steps", 20},
            {"batch", 16},
            {"precision", "float32"},
            {"ema", 0.9},
            {"workers", 2},
            {"checkpoint_every", 7},
            {"threads", 1}};
  }

  RunResult run(const Json& json, const std::string& name, std::function<bool(int64_t)> stop = {}) {
    Trainer trainer(read_recipe(json, ""), {.folder = folder_ / name, .stop = std::move(stop)});
    return trainer.run();
  }

  /// All tensors of two states are the same to the bit.
  void expect_same_state(const std::string& a, const std::string& b) {
    const Checkpoint first = Checkpoint::open(folder_ / a / "state.safetensors");
    const Checkpoint second = Checkpoint::open(folder_ / b / "state.safetensors");
    ASSERT_EQ(first.tensors().size(), second.tensors().size());
    for (const auto& [name, info] : first.tensors()) EXPECT_TRUE(first.tensor(name).equal(second.tensor(name))) << name;
  }

  /// The metrics without what a clock measured.
  std::vector<Json> metrics(const std::string& name) {
    std::vector<Json> lines = read_metrics(folder_ / name / "metrics.jsonl");
    for (auto& line : lines) line.erase("seconds");
    return lines;
  }

  testing::Scratch scratch_;
  fs::path folder_ = scratch_.path();
};

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
  EXPECT_NO_THROW(model.as<DualEncoder>("be tested"));
}

TEST_F(TrainerTest, AResumedRunIsTheUninterruptedOne) {
  const Json json = recipe_json();
  EXPECT_TRUE(run(json, "whole").finished);
  EXPECT_FALSE(run(json, "parts", [](int64_t step) { return step == 9; }).finished);
  Json later = json;
  later["workers"] = 1;  // what prepares the batches changes nothing
  EXPECT_TRUE(run(later, "parts").finished);
  expect_same_state("whole", "parts");
  EXPECT_EQ(metrics("whole"), metrics("parts"));
}

TEST_F(TrainerTest, NamesGoOnAloneAndLeaveThePicturesAsTheyAre) {
  Json json = recipe_json();
  json["objective"] = {{"image_proxies", 1}, {"text_proxies", 1}, {"text_alignment", 1}};
  run(json, "pictures");
  const auto steps = json["steps"].get<int64_t>();
  json["names"] = {{"steps", 8}, {"candidates", 4}, {"languages_per_step", 1}};
  EXPECT_EQ(run(json, "whole").step, steps + 8);
  EXPECT_FALSE(run(json, "parts", [&](int64_t step) { return step == steps + 3; }).finished);
  EXPECT_TRUE(run(json, "parts").finished);
  expect_same_state("whole", "parts");

  const Checkpoint before = Checkpoint::open(folder_ / "pictures" / "state.safetensors");
  const Checkpoint after = Checkpoint::open(folder_ / "whole" / "state.safetensors");
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
  const Checkpoint one = Checkpoint::open(folder_ / "one" / "state.safetensors");
  const Checkpoint three = Checkpoint::open(folder_ / "three" / "state.safetensors");
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
  run(json, "whole");
  for (const int64_t at : {steps / 2, steps + 2}) run(json, "parts", [&](int64_t step) { return step == at; });
  EXPECT_TRUE(run(json, "parts").finished);
  expect_same_state("whole", "parts");
  const Checkpoint before = Checkpoint::open(folder_ / "pictures" / "state.safetensors");
  const Checkpoint after = Checkpoint::open(folder_ / "whole" / "state.safetensors");
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
