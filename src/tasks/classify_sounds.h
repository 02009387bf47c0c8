#pragma once
#include "processors/spectrogram.h"
#include "tasks/classify.h"

namespace tessera {

/// Names sounds by the classes of an audio classifier: AST and SSAST.
class SoundClassifier {
 public:
  /// @throws Error for a model that is none
  explicit SoundClassifier(const Model& model);
  /// Whether a model reads sounds, so that it is one for this class and not for PictureClassifier.
  static bool reads_sounds(const Model& model);

  /// What the model reads of a file: 1 x bands x frames. A file of another rate is resampled.
  /// @throws Error naming the file, for what is no sound, silent, or shorter than a frame
  Tensor read(const std::string& path) const;
  /// B x 1 x bands x frames -> B x classes, probabilities.
  Tensor probabilities(const Tensor& spectrograms) const;
  /// See PictureClassifier::best().
  std::vector<LabelScore> best(const Tensor& row, int64_t top) const;

 private:
  Model model_;
  SpectrogramOptions options_;
};

/// Turns arguments into sounds: a folder stands for the sounds below it, by path, known by their extensions; anything
/// else is read as expand_inputs() does.
/// @throws Error naming the argument that is missing or stands for no sound
std::vector<std::string> expand_sounds(const std::vector<std::string>& arguments, std::istream* list = nullptr);

}  // namespace tessera
