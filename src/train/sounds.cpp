#include "train/sounds.h"

#include <algorithm>

#include "core/error.h"
#include "core/progress.h"
#include "data/sounds.h"
#include "encoders/ssast.h"

namespace tessera {
namespace {

constexpr uint64_t kLabelled = 31;  // a purpose of draws; see sound_learner.cpp for the others
constexpr int64_t kSmallestSquare = 3, kLargestSquare = 5;

/// `each` of the files of every class.
std::vector<SoundFile> some(const SoundFolder& folder, int64_t each, int64_t seed) {
  if (each == 0) return folder.files;
  std::vector<SoundFile> chosen;
  for (size_t label = 0; label < folder.labels.size(); ++label) {
    std::vector<SoundFile> own;
    for (const auto& file : folder.files)
      if (file.label == static_cast<int64_t>(label)) own.push_back(file);
    if (static_cast<int64_t>(own.size()) < each)
      throw Error("has " + std::to_string(own.size()) + " sounds", folder.labels[label], "lower sounds.labelled");
    Random random(mix_seed(static_cast<uint64_t>(seed), kLabelled, label));
    const auto order = random.permutation(static_cast<int64_t>(own.size()));
    for (int64_t i = 0; i < each; ++i) chosen.push_back(own[static_cast<size_t>(order[static_cast<size_t>(i)])]);
  }
  return chosen;
}

}  // namespace

void check_sounds(const SoundOptions& options, const std::string& where) {
  check_choice(options.task, {"pretrain", "classify"}, where + ".task");
  if (options.train.empty()) throw Error("names no folder", where + ".train");
  if (options.labelled < 0) throw Error("must not be negative", where + ".labelled");
  if (options.masked < 1) throw Error("must be positive", where + ".masked");
  if (options.pick_weight < 0 || options.draw_weight < 0 || options.pick_weight + options.draw_weight <= 0)
    throw Error("and .draw_weight must not be negative, and one of them positive", where + ".pick_weight");
  read_spectrogram_options(to_json(options.spectrogram), where + ".spectrogram");
}

Spectrograms read_spectrograms(const std::string& folder, const SpectrogramOptions& options, int64_t each,
                               int64_t seed) {
  const SoundFolder found = read_sound_folder(folder);
  const auto files = some(found, each, seed);
  std::vector<Tensor> rows;
  std::vector<int64_t> classes;
  Progress progress("reading " + folder, static_cast<int64_t>(files.size()), "sounds");
  for (const SoundFile& file : files) {
    try {
      rows.push_back(spectrogram(resampled(read_sound(file.path), options.rate).samples, options));
    } catch (const Error& error) {
      throw error.within(file.path.string());
    }
    classes.push_back(file.label);
    progress.step();
  }
  return {found.labels, spectrogram_picture(torch::stack(rows)), torch::tensor(classes, torch::kInt64)};
}

Tensor draw_masks(const SoundOptions& options, int64_t batch, int64_t rows, int64_t columns, Random& random) {
  const int64_t patches = rows * columns;
  if (options.masked >= patches)
    throw Error(std::to_string(options.masked) + " of " + std::to_string(patches) + " patches leave none to look at",
                "sounds.masked");
  std::vector<int64_t> ids;
  for (int64_t i = 0; i < batch; ++i) {
    std::vector<int64_t> masked;
    if (options.clusters) {
      const auto edge = kSmallestSquare + static_cast<int64_t>(random.below(kLargestSquare - kSmallestSquare + 1));
      // Every start but patch 0, so that there are enough of them.
      std::vector<int64_t> starts = random.permutation(patches);
      masked = cluster_mask(starts, edge, columns, patches, options.masked);
    } else {
      masked = random.permutation(patches);
      masked.resize(static_cast<size_t>(options.masked));
      std::sort(masked.begin(), masked.end());
    }
    ids.insert(ids.end(), masked.begin(), masked.end());
  }
  return torch::tensor(ids, torch::kInt64).view({batch, options.masked});
}

}  // namespace tessera
