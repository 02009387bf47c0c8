#include "data/sounds.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"
#include "core/files.h"
#include "support/scratch.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;

/// So many seconds of a sine.
Sound sine(double hertz, int64_t rate, double seconds) {
  const auto count = static_cast<int64_t>(seconds * static_cast<double>(rate));
  return {0.5 * torch::sin(torch::arange(count, torch::kFloat32) * (2 * M_PI * hertz / static_cast<double>(rate))),
          rate};
}

class SoundsTest : public ::testing::Test {
 protected:
  testing::Scratch scratch_;
  fs::path folder_ = scratch_.path();
};

TEST_F(SoundsTest, AWavFileGivesBackItsSamples) {
  const Sound written = sine(440, 8000, 0.1);
  write_wav(folder_ / "a.wav", written);
  const Sound read = read_sound(folder_ / "a.wav");
  EXPECT_EQ(read.rate, 8000);
  ASSERT_EQ(read.samples.sizes(), written.samples.sizes());
  EXPECT_LT((read.samples - written.samples).abs().max().item<double>(), 1.0 / 32000);  // 16 bits
}

TEST_F(SoundsTest, SeveralChannelsBecomeTheirMean) {
  // Two channels of three samples: (0, 16384), (16384, 0), (-16384, -16384).
  const std::string body = {0, 0, 0, 64, 0, 64, 0, 0, 0, char(-64), 0, char(-64)};
  std::string header = "RIFF";
  const auto number = [&](uint32_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) header += static_cast<char>(value >> (8 * i) & 255);
  };
  number(36 + 12, 4), header += "WAVEfmt ", number(16, 4), number(1, 2), number(2, 2), number(16000, 4);
  number(64000, 4), number(4, 2), number(16, 2), header += "data", number(12, 4);
  write_file(folder_ / "stereo.wav", header + body);
  const Sound sound = read_sound(folder_ / "stereo.wav");
  EXPECT_TRUE(sound.samples.allclose(torch::tensor({0.25F, 0.25F, -0.5F})));
}

TEST_F(SoundsTest, AResampledSineIsTheSameSine) {
  const Sound low = resampled(sine(440, 22050, 1), 16000), wanted = sine(440, 16000, 1);
  EXPECT_EQ(low.rate, 16000);
  ASSERT_EQ(low.samples.size(0), 16000);
  const auto middle = [](const torch::Tensor& x) { return x.narrow(0, 2000, 12000); };  // away from the ends
  EXPECT_LT((middle(low.samples) - middle(wanted.samples)).abs().max().item<double>(), 5e-3);
}

TEST_F(SoundsTest, WhatLiesAboveTheNewRateIsGoneAndDoesNotFoldBack) {
  const Sound low = resampled(sine(10000, 22050, 1), 16000);
  EXPECT_LT(low.samples.narrow(0, 2000, 12000).abs().max().item<double>(), 5e-3);
}

TEST_F(SoundsTest, TheSameRateChangesNothing) {
  const Sound sound = sine(100, 16000, 0.01);
  EXPECT_TRUE(resampled(sound, 16000).samples.equal(sound.samples));
}

TEST_F(SoundsTest, WhatIsNoSoundIsNamed) {
  const auto message = [&](const fs::path& path) {
    try {
      read_sound(path);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  write_file(folder_ / "text.wav", "this is no sound");
  write_file(folder_ / "empty.wav", "");
  write_wav(folder_ / "silent.wav", {torch::zeros({0}), 16000});
  EXPECT_THAT(message(folder_ / "text.wav"), ::testing::HasSubstr("text.wav"));
  EXPECT_THAT(message(folder_ / "empty.wav"), ::testing::HasSubstr("no sound"));
  EXPECT_THAT(message(folder_ / "silent.wav"), ::testing::HasSubstr("holds no sound"));
  EXPECT_THAT(message(folder_ / "missing.wav"), ::testing::HasSubstr("no file"));
  EXPECT_THAT(message(folder_), ::testing::HasSubstr("no file"));
  EXPECT_THROW(resampled(sine(100, 16000, 0.1), 10), Error);
}

/// A file that ends early gives what there is, or an Error: never more, and never a crash.
TEST_F(SoundsTest, ATruncatedFileGivesItsBeginningOrAnError) {
  write_wav(folder_ / "whole.wav", sine(440, 8000, 0.02));
  const std::string bytes = read_file(folder_ / "whole.wav");
  const torch::Tensor whole = read_sound(folder_ / "whole.wav").samples;
  for (size_t size = 0; size < bytes.size(); ++size) {
    write_file(folder_ / "cut.wav", bytes.substr(0, size));
    try {
      const torch::Tensor cut = read_sound(folder_ / "cut.wav").samples;
      ASSERT_LE(cut.size(0), whole.size(0));
      EXPECT_TRUE(cut.equal(whole.narrow(0, 0, cut.size(0)))) << size;
    } catch (const Error&) {
      continue;
    }
  }
}

TEST_F(SoundsTest, AFolderHasTheClassesOfItsFolders) {
  for (const char* name : {"yes/b.wav", "yes/a.wav", "no/deep/c.wav", "no/readme.txt"})
    write_wav(folder_ / "words" / name, sine(100, 8000, 0.05));
  const SoundFolder found = read_sound_folder(folder_ / "words");
  EXPECT_THAT(found.labels, ::testing::ElementsAre("no", "yes"));
  ASSERT_EQ(found.files.size(), 3u);
  EXPECT_EQ(found.files[0].path.filename(), "c.wav");
  EXPECT_EQ(found.files[1].path.filename(), "a.wav");
  EXPECT_EQ(found.files[2].label, 1);
  fs::create_directories(folder_ / "words" / "maybe");
  EXPECT_THROW(read_sound_folder(folder_ / "words"), Error);
  EXPECT_THROW(read_sound_folder(folder_ / "nowhere"), Error);
}

}  // namespace
}  // namespace tessera
