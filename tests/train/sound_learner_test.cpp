#include "train/sound_learner.h"

#include <gmock/gmock.h>

#include <cmath>
#include <set>

#include "core/error.h"
#include "data/sounds.h"
#include "support/training.h"
#include "tasks/classify_sounds.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;

/// Sounds that rise and sounds that fall, from several pitches.
class SoundLearnerTest : public testing::TrainingTest {
 protected:
  void SetUp() override { write("train", 0), write("test", 60); }

  void write(const std::string& folder, double higher) {
    const torch::Tensor time = torch::arange(8000, torch::kFloat32) / 16000;
    for (int pitch = 0; pitch < 6; ++pitch)
      for (const bool rises : {false, true}) {
        const double slope = rises ? 3000 : -3000, from = 2000 + 100 * pitch + higher;
        const torch::Tensor phase = 2 * M_PI * (from * time + slope / 2 * time * time);
        write_wav(folder_ / folder / (rises ? "rises" : "falls") / (std::to_string(pitch) + ".wav"),
                  {0.5 * torch::sin(phase), 16000});
      }
  }

  Json recipe_json(const std::string& task) const {
    return {{"sounds",
             {{"task", task},
              {"train", (folder_ / "train").string()},
              {"test", (folder_ / "test").string()},
              {"masked", 10},
              {"spectrogram", {{"bands", 32}, {"frames", 48}, {"mean", -6}, {"deviation", 4}}}}},
            {"model",
             {{"fshape", 8},
              {"tshape", 8},
              {"fstride", 8},
              {"tstride", 8},
              {"input_fdim", 32},
              {"input_tdim", 48},
              {"vit", {{"embed_dim", 32}, {"depth", 2}, {"num_heads", 2}}}}},
            {"optimizer", {{"learning_rate", 3e-3}}},
            {"schedule", {{"warmup", 5}}},
            {"evaluation", {{"every", 10}}},
            {"steps", 20},
            {"batch", 8},
            {"precision", "float32"},
            {"ema", 0},
            {"checkpoint_every", 7},
            {"threads", 1}};
  }
};

TEST_F(SoundLearnerTest, LearnsClassesAndTheFolderNamesThem) {
  Json json = recipe_json("classify");
  json["steps"] = 60;
  json["evaluation"]["every"] = 60;
  EXPECT_GT(run(json, "run").scores.at("unseen sounds").at("top1"), 0.9);
  const Model model = load_model(folder_ / "run" / "model");
  EXPECT_EQ(trained_parameters(folder_ / "run" / "model"), parameters_of(*model.module));
  const SoundClassifier classifier(model);
  int right = 0;
  for (const std::string label : {"rises", "falls"})
    for (const std::string& file : expand_sounds({(folder_ / "test" / label).string()}))
      right += classifier.best(classifier.probabilities(classifier.read(file).unsqueeze(0))[0], 1)[0].label == label;
  EXPECT_GT(right, 10);  // of 12
}

TEST_F(SoundLearnerTest, PretrainingLearnsToPickAndDrawMaskedPatches) {
  Json json = recipe_json("pretrain");
  json["steps"] = 2;
  json["evaluation"]["every"] = 2;
  const double before = run(json, "short").scores.at("unseen sounds").at("loss");
  json["steps"] = 80;
  json["evaluation"]["every"] = 80;
  EXPECT_LT(run(json, "long").scores.at("unseen sounds").at("loss"), 0.8 * before);
}

TEST_F(SoundLearnerTest, AResumedRunIsTheUninterruptedOne) {
  for (const std::string task : {"pretrain", "classify"})
    expect_resumed_is_uninterrupted(recipe_json(task), {9}, task + "-");
}

TEST_F(SoundLearnerTest, FineTuningBeginsFromThePretrainedEncoder) {
  run(recipe_json("pretrain"), "pretrained");
  Json json = recipe_json("classify");
  json["base"] = (folder_ / "pretrained" / "model").string();
  json["model"]["tstride"] = 4;  // overlapping patches, so that the positions have another grid
  Recipe recipe = read_recipe(json, "");
  SoundClassifierLearner learner(recipe);
  const auto own = named_tensors(learner.module());
  const auto given = named_tensors(*load_model(folder_ / "pretrained" / "model").module);
  EXPECT_TRUE(own.at("encoder.blocks.1.ffn.up.weight").equal(given.at("encoder.blocks.1.ffn.up.weight")));
  EXPECT_EQ(own.at("encoder.positions").size(1), 2 + 4 * 11);
  EXPECT_TRUE(run(json, "tuned").finished);

  json["base"] = (folder_ / "tuned" / "model").string();
  EXPECT_THROW(run(json, "again"), Error);
}

TEST_F(SoundLearnerTest, FewLabelsAreDrawnByTheSeedAndAlikeForEveryClass) {
  const SpectrogramOptions options = read_recipe(recipe_json("classify"), "").sounds->spectrogram;
  const Spectrograms some = read_spectrograms((folder_ / "train").string(), options, 2, 1);
  EXPECT_EQ(some.classes.numel(), 4);
  EXPECT_EQ(some.classes.sum().item<int64_t>(), 2);
  EXPECT_TRUE(read_spectrograms((folder_ / "train").string(), options, 2, 1).pictures.equal(some.pictures));
  EXPECT_FALSE(read_spectrograms((folder_ / "train").string(), options, 2, 2).pictures.equal(some.pictures));
  EXPECT_THROW(read_spectrograms((folder_ / "train").string(), options, 7, 1), Error);
}

TEST(DrawMasks, MaskAsManyPatchesInEveryRowAndNeverTheSameTwice) {
  Random random(1);
  for (const bool clusters : {false, true}) {
    const SoundOptions options{.masked = 30, .clusters = clusters};
    const Tensor masks = draw_masks(options, 5, 6, 8, random);
    ASSERT_EQ(masks.sizes(), (std::vector<int64_t>{5, 30}));
    EXPECT_TRUE((masks.narrow(1, 1, 29) > masks.narrow(1, 0, 29)).all().item<bool>());
    EXPECT_TRUE((masks.ge(0) & masks.lt(48)).all().item<bool>());
    EXPECT_FALSE(masks[0].equal(masks[1]));
    EXPECT_THROW(draw_masks({.masked = 48, .clusters = clusters}, 1, 6, 8, random), Error);
  }
}

TEST_F(SoundLearnerTest, RecipesAndFoldersThatMeanNothingAreRefused) {
  const auto refused = [&](const std::string& path, const Json& value) {
    Json json = recipe_json("pretrain");
    set_value(json, path + "=" + value.dump());
    EXPECT_THROW(run(json, "run"), Error) << path;
  };
  refused("sounds.task", "tune");
  refused("sounds.train", "");
  refused("sounds.train", (folder_ / "nowhere").string());
  refused("sounds.masked", 24);
  refused("sounds.spectrogram.deviation", 0);
  refused("model.tstride", 4);
  fs::rename(folder_ / "test" / "rises", folder_ / "test" / "climbs");
  refused("sounds.labelled", 0);
}

}  // namespace
}  // namespace tessera
