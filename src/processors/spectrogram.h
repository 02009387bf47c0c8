#pragma once
#include <torch/types.h>

#include <filesystem>

#include "core/options.h"

namespace tessera {

/// How a model of Gong et al. reads a sound: a log mel filter bank (see log_mel()) of so many bands and frames, of
/// which `mean` is taken away before it is divided by twice the `deviation`. A frame is 10 ms.
struct SpectrogramOptions {
  int64_t rate = 16000;  ///< samples a second
  int64_t bands = 128, frames = 1024;
  double mean = -4.2677393, deviation = 4.5689974;  ///< of AudioSet
};
TESSERA_OPTIONS(SpectrogramOptions, rate, bands, frames, mean, deviation)

/// Reads the preprocessor_config.json of a published AST (ASTFeatureExtractor).
/// @throws Error for another kind, or values that cannot be
SpectrogramOptions read_spectrogram_options(const Json& json, const std::string& where);

/// The same as the file that transformers reads.
Json to_json(const SpectrogramOptions& options);

/// True for the preprocessor_config.json of a model that reads sounds.
bool describes_spectrograms(const Json& json);

/// The options beside the weights of a model, or those of AudioSet where its folder has none.
SpectrogramOptions load_spectrogram_options(const std::filesystem::path& folder);

/// frames x bands, normalised; a short sound is followed by zeros, and the end of a long one is not read.
/// @param samples  at options.rate
/// @throws Error for what is shorter than a frame (25 ms) or holds nothing but silence
torch::Tensor spectrogram(const torch::Tensor& samples, const SpectrogramOptions& options);

}  // namespace tessera
