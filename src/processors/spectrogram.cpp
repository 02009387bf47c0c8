#include "processors/spectrogram.h"

#include "core/error.h"
#include "core/files.h"
#include "io/filter_bank.h"
#include "io/published_config.h"

namespace tessera {
namespace {

constexpr const char* kKind = "ASTFeatureExtractor";

}  // namespace

bool describes_spectrograms(const Json& json) {
  return json.is_object() && json.value("feature_extractor_type", Json()) == kKind;
}

SpectrogramOptions read_spectrogram_options(const Json& json, const std::string& where) {
  if (!describes_spectrograms(json))
    throw Error(std::string("does not say how sounds become spectrograms"), where,
                std::string("\"feature_extractor_type\" is ") + kKind);
  PublishedConfig config(json, where);
  SpectrogramOptions o;
  o.rate = config.get<int64_t>("sampling_rate", o.rate);
  o.bands = config.get<int64_t>("num_mel_bins", o.bands);
  o.frames = config.get<int64_t>("max_length", o.frames);
  if (config.get<bool>("do_normalize", true)) {
    o.mean = config.get<double>("mean", o.mean);
    o.deviation = config.get<double>("std", o.deviation);
  } else {
    o.mean = 0, o.deviation = 0.5;
  }
  config.expect("feature_size", 1);
  config.expect("padding_value", 0.0);
  config.ignore({"feature_extractor_type", "padding_side", "return_attention_mask", "processor_class", "mean", "std"});
  config.done();
  if (o.rate < 1000 || o.bands < 1 || o.frames < 1 || o.deviation <= 0)
    throw Error("rate, bands, frames and deviation must be positive, and the rate at least 1000", where);
  return o;
}

Json to_json(const SpectrogramOptions& o) {
  return {{"feature_extractor_type", kKind},
          {"sampling_rate", o.rate},
          {"num_mel_bins", o.bands},
          {"max_length", o.frames},
          {"mean", o.mean},
          {"std", o.deviation},
          {"do_normalize", true},
          {"feature_size", 1},
          {"padding_value", 0.0},
          {"padding_side", "right"},
          {"return_attention_mask", false}};
}

SpectrogramOptions load_spectrogram_options(const std::filesystem::path& folder) {
  const auto file = folder / "preprocessor_config.json";
  if (!std::filesystem::exists(file)) return {};
  return read_spectrogram_options(read_json(file), file.string());
}

torch::Tensor spectrogram(const torch::Tensor& samples, const SpectrogramOptions& o) {
  if (samples.numel() > 0 && samples.max().item<float>() == samples.min().item<float>())
    throw Error("holds nothing but silence", "sound");
  return normalised_log_mel(samples, o.frames, o.mean, o.deviation,
                            {.rate = static_cast<double>(o.rate), .bands = o.bands});
}

}  // namespace tessera
