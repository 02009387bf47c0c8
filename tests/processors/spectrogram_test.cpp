#include "processors/spectrogram.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "core/error.h"
#include "core/files.h"
#include "io/filter_bank.h"
#include "support/scratch.h"

namespace tessera {
namespace {

const Json kPublished = {{"do_normalize", true},
                         {"feature_extractor_type", "ASTFeatureExtractor"},
                         {"feature_size", 1},
                         {"max_length", 128},
                         {"mean", -6.5},
                         {"num_mel_bins", 64},
                         {"padding_side", "right"},
                         {"padding_value", 0.0},
                         {"return_attention_mask", false},
                         {"sampling_rate", 8000},
                         {"std", 3.25}};

TEST(SpectrogramOptions, ReadsAndWritesWhatTransformersHas) {
  const SpectrogramOptions options = read_spectrogram_options(kPublished, "test");
  EXPECT_EQ(options.rate, 8000);
  EXPECT_EQ(options.bands, 64);
  EXPECT_EQ(options.frames, 128);
  EXPECT_EQ(options.mean, -6.5);
  EXPECT_EQ(options.deviation, 3.25);
  EXPECT_EQ(to_json(options), kPublished);
}

TEST(SpectrogramOptions, RefusesWhatItDoesNotKnow) {
  const auto refused = [](const std::string& key, const Json& value) {
    Json json = kPublished;
    json[key] = value;
    EXPECT_THROW(read_spectrogram_options(json, "test"), Error) << key;
  };
  refused("feature_extractor_type", "WhisperFeatureExtractor");
  refused("feature_size", 2);
  refused("sampling_rate", 0);
  refused("std", 0);
  refused("hop_length", 160);
}

TEST(SpectrogramOptions, AFolderWithoutThemIsReadAsAudioSetIs) {
  const testing::Scratch scratch;
  EXPECT_EQ(load_spectrogram_options(scratch.path()).bands, 128);
  write_file(scratch.path() / "preprocessor_config.json", kPublished.dump());
  EXPECT_EQ(load_spectrogram_options(scratch.path()).bands, 64);
}

TEST(Spectrogram, IsTheFilterBankCutOrFollowedByZeros) {
  at::manual_seed(3);
  const torch::Tensor sound = torch::randn({8000});
  const SpectrogramOptions options{.rate = 8000, .bands = 20, .frames = 120, .mean = -2, .deviation = 3};
  const torch::Tensor made = spectrogram(sound, options);
  ASSERT_EQ(made.sizes(), (std::vector<int64_t>{120, 20}));
  const torch::Tensor bank = log_mel(sound - sound.mean(), {.rate = 8000, .bands = 20});  // 98 frames
  EXPECT_TRUE(made.narrow(0, 0, 98).allclose((bank + 2) / 6));
  EXPECT_TRUE(made.narrow(0, 98, 22).allclose(torch::full({22, 20}, 2.0 / 6)));
  EXPECT_TRUE(
      spectrogram(torch::cat({sound, sound}), options).narrow(0, 0, 90).allclose(made.narrow(0, 0, 90), 1e-2, 1e-2));
}

TEST(Spectrogram, RefusesSilenceAndWhatIsTooShort) {
  EXPECT_THROW(spectrogram(torch::zeros({16000}), {}), Error);
  EXPECT_THROW(spectrogram(torch::full({16000}, 0.25), {}), Error);
  EXPECT_THROW(spectrogram(torch::rand({399}), {}), Error);
  EXPECT_NO_THROW(spectrogram(torch::rand({400}), {}));
  EXPECT_THROW(spectrogram(torch::zeros({0}), {}), Error);
}

}  // namespace
}  // namespace tessera
