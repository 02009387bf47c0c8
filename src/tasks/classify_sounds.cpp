#include "tasks/classify_sounds.h"

#include <algorithm>

#include "data/sounds.h"
#include "encoders/classifier.h"
#include "encoders/ssast.h"
#include "tasks/inputs.h"

namespace tessera {

bool SoundClassifier::reads_sounds(const Model& model) { return model.family == "ast" || model.family == "ssast"; }

SoundClassifier::SoundClassifier(const Model& model) : model_(model) {
  auto* classifier = dynamic_cast<ImageClassifier*>(model_.module.get());
  if (!reads_sounds(model_) || !classifier) model_.refuse("classify sounds", "give an AST or a fine-tuned SSAST");
  options_ = load_spectrogram_options(model_.folder);
  const auto& vit = dynamic_cast<const Vit&>(classifier->encoder()).options();
  options_.bands = vit.image[0], options_.frames = vit.image[1];
}

Tensor SoundClassifier::read(const std::string& path) const {
  const Sound sound = resampled(read_sound(path), options_.rate);
  try {
    return spectrogram_picture(spectrogram(sound.samples, options_).unsqueeze(0)).squeeze(0);
  } catch (const Error& error) {
    throw error.within(path);
  }
}

Tensor SoundClassifier::probabilities(const Tensor& spectrograms) const {
  const torch::NoGradGuard no_gradient;
  auto& classifier = dynamic_cast<ImageClassifier&>(*model_.module);
  return check_finite(model_, classifier.forward(spectrograms).to(torch::kFloat32).softmax(-1));
}

std::vector<LabelScore> SoundClassifier::best(const Tensor& row, int64_t top) const {
  return best_labels(dynamic_cast<ImageClassifier&>(*model_.module).labels, row, top);
}

std::vector<std::string> expand_sounds(const std::vector<std::string>& arguments, std::istream* list) {
  namespace fs = std::filesystem;
  std::vector<std::string> sounds, files;
  for (const std::string& argument : arguments) {
    if (!fs::is_directory(argument)) {
      files.push_back(argument);
      continue;
    }
    const size_t before = sounds.size();
    for (const auto& entry : fs::recursive_directory_iterator(argument))
      if (entry.is_regular_file() && has_sound_extension(entry.path())) sounds.push_back(entry.path().string());
    if (sounds.size() == before) throw Error("holds no sound", argument, "give WAV, FLAC, Ogg or MP3 files");
    std::sort(sounds.begin() + static_cast<std::ptrdiff_t>(before), sounds.end());
  }
  if (!files.empty() || list)
    for (const PictureInput& input : expand_inputs(files, list)) {
      if (input.standard_input) throw Error("sounds are not read from standard input", "-", "give a file");
      sounds.push_back(input.name);
    }
  return sounds;
}

}  // namespace tessera
