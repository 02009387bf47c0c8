#pragma once
#include "layers/module.h"
#include "train/recipe.h"

namespace tessera {

/// The spectrograms of a folder of sounds, in memory.
struct Spectrograms {
  std::vector<std::string> labels;
  Tensor pictures;  ///< N x 1 x bands x frames
  Tensor classes;   ///< N, int64
};

/// @param each  sounds of each class, drawn by the seed; 0: all
/// @throws Error naming the file that cannot be read
Spectrograms read_spectrograms(const std::string& folder, const SpectrogramOptions& options, int64_t each = 0,
                               int64_t seed = 0);

/// Masked patches of some sounds, B x M, as SpectrogramPretraining reads them: ascending, and drawn by `random` alone.
Tensor draw_masks(const SoundOptions& options, int64_t batch, int64_t rows, int64_t columns, Random& random);

}  // namespace tessera
