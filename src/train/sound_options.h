#pragma once
#include "processors/spectrogram.h"

namespace tessera {

/// What a model that reads spectrograms learns from: folders of sounds with a folder for each class.
struct SoundOptions {
  std::string task = "classify";  ///< "pretrain": masked patches, without labels (Gong et al., 2022); or "classify"
  std::string train, test;        ///< folders; who speaks in `test` should not speak in `train`
  SpectrogramOptions spectrogram;
  int64_t labelled = 0;     ///< classify: sounds of each class that are learned from, drawn by the seed; 0: all
  int64_t masked = 48;      ///< pretrain: patches of each sound that are masked
  bool clusters = true;     ///< pretrain: in squares of 3 to 5 patches (see cluster_mask()), else each by itself
  double pick_weight = 1;   ///< pretrain: of picking the right patch (InfoNCE)
  double draw_weight = 10;  ///< pretrain: of drawing the patches (mean squared error)
};
TESSERA_OPTIONS(SoundOptions, task, train, test, spectrogram, labelled, masked, clusters, pick_weight, draw_weight)

/// @throws Error naming the value that cannot be
void check_sounds(const SoundOptions& options, const std::string& where);

}  // namespace tessera
