#include "tasks/classify_sounds.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/files.h"
#include "data/sounds.h"
#include "support/scratch.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;

/// A small AST as transformers publishes it, with its preprocessor and the names of its classes.
class ClassifySoundsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const Json config = {{"model_type", "audio-spectrogram-transformer"},
                         {"hidden_size", 16},
                         {"num_hidden_layers", 1},
                         {"num_attention_heads", 2},
                         {"intermediate_size", 32},
                         {"patch_size", 8},
                         {"frequency_stride", 8},
                         {"time_stride", 8},
                         {"num_mel_bins", 16},
                         {"max_length", 32},
                         {"id2label", {{"0", "music"}, {"1", "speech"}, {"2", "rain"}}}};
    at::manual_seed(1);
    save_model(make_model(config, "test"), folder_ / "ast");
    write_file(folder_ / "ast" / "preprocessor_config.json",
               to_json(SpectrogramOptions{.rate = 16000, .bands = 16, .frames = 32}).dump());
    at::manual_seed(2);
    write_wav(folder_ / "noise.wav", {torch::rand({6000}) - 0.5, 16000});
  }

  std::string message(const SoundClassifier& classifier, const fs::path& path) const {
    try {
      classifier.read(path.string());
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  testing::Scratch scratch_;
  fs::path folder_ = scratch_.path();
};

TEST_F(ClassifySoundsTest, NamesTheClassesOfAPublishedFolder) {
  const Model model = load_model(folder_ / "ast");
  EXPECT_TRUE(SoundClassifier::reads_sounds(model));
  const SoundClassifier classifier(model);
  const Tensor read = classifier.read((folder_ / "noise.wav").string());
  ASSERT_EQ(read.sizes(), (std::vector<int64_t>{1, 16, 32}));
  const Tensor rows = classifier.probabilities(torch::stack({read, read}));
  EXPECT_NEAR(rows[0].sum().item<double>(), 1, 1e-5);
  EXPECT_TRUE(rows[0].allclose(rows[1]));
  const auto best = classifier.best(rows[0], 2);
  ASSERT_EQ(best.size(), 2u);
  EXPECT_THAT((std::vector<std::string>{"music", "speech", "rain"}), ::testing::Contains(best[0].label));
  EXPECT_GE(best[0].score, best[1].score);
}

TEST_F(ClassifySoundsTest, AnotherRateGivesTheSameAnswer) {
  const SoundClassifier classifier(load_model(folder_ / "ast"));
  const torch::Tensor time = torch::arange(24000, torch::kFloat32) / 48000;
  write_wav(folder_ / "high.wav", {0.5 * torch::sin(2 * M_PI * 700 * time), 48000});
  write_wav(folder_ / "same.wav", {0.5 * torch::sin(2 * M_PI * 700 * time.slice(0, 0, 24000, 3)), 16000});
  const auto chances = [&](const char* name) {
    return classifier.probabilities(classifier.read((folder_ / name).string()).unsqueeze(0));
  };
  EXPECT_LT((chances("high.wav") - chances("same.wav")).abs().max().item<double>(), 0.02);
}

TEST_F(ClassifySoundsTest, WhatCannotBeHeardIsNamed) {
  const SoundClassifier classifier(load_model(folder_ / "ast"));
  write_wav(folder_ / "short.wav", {torch::rand({300}), 16000});
  write_wav(folder_ / "silent.wav", {torch::zeros({16000}), 16000});
  write_file(folder_ / "text.wav", "no sound");
  for (const char* name : {"short.wav", "silent.wav", "text.wav", "missing.wav"})
    EXPECT_THAT(message(classifier, folder_ / name), ::testing::HasSubstr(name));
  EXPECT_THAT(message(classifier, folder_ / "short.wav"), ::testing::HasSubstr("shorter than a frame"));
  EXPECT_THAT(message(classifier, folder_ / "silent.wav"), ::testing::HasSubstr("silence"));
}

TEST_F(ClassifySoundsTest, FoldersStandForTheirSounds) {
  for (const char* name : {"more/b.wav", "more/a.wav", "more/deep/c.wav"})
    write_wav(folder_ / name, {torch::rand({500}), 16000});
  write_file(folder_ / "more" / "notes.txt", "text");
  fs::create_directories(folder_ / "nothing");
  const auto found = expand_sounds({(folder_ / "noise.wav").string(), (folder_ / "more").string()});
  EXPECT_EQ(found.size(), 4u);
  EXPECT_THROW(expand_sounds({(folder_ / "nothing").string()}), Error);
  EXPECT_THROW(expand_sounds({(folder_ / "missing.wav").string()}), Error);
}

TEST_F(ClassifySoundsTest, AModelOfPicturesIsRefused) {
  const Model model = make_model({{"model_type", "vit"},
                                  {"hidden_size", 16},
                                  {"num_hidden_layers", 1},
                                  {"num_attention_heads", 2},
                                  {"intermediate_size", 16},
                                  {"image_size", 16},
                                  {"patch_size", 8}},
                                 "test");
  EXPECT_FALSE(SoundClassifier::reads_sounds(model));
  EXPECT_THROW(SoundClassifier{model}, Error);
}

}  // namespace
}  // namespace tessera
