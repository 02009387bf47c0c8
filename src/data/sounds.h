#pragma once
#include <torch/types.h>

#include <filesystem>
#include <string>
#include <vector>

namespace tessera {

/// A recording: one channel of samples between -1 and 1, float32.
struct Sound {
  torch::Tensor samples;
  int64_t rate = 16000;  ///< samples a second
};

/// Reads WAV, FLAC, Ogg, MP3, AIFF and what else libsndfile knows; several channels become their mean.
/// @throws Error for a file that is missing, no sound, or empty
Sound read_sound(const std::filesystem::path& path);

/// The same sound with another number of samples a second, through libsamplerate (121 dB above its noise).
/// @throws Error for rates that are more than 256-fold apart
Sound resampled(const Sound& sound, int64_t rate);

/// Writes a WAV file of 16 bits, through a temporary name. @throws Error
void write_wav(const std::filesystem::path& path, const Sound& sound);

/// Whether the name ends like a sound that Tessera reads.
bool has_sound_extension(const std::filesystem::path& path);

/// A recording of a class, as a folder names it.
struct SoundFile {
  std::filesystem::path path;
  int64_t label = 0;
};

/// A folder of sounds in which each subfolder is a class: its name is the class, the sounds below it the samples.
struct SoundFolder {
  std::vector<std::string> labels;  ///< sorted
  std::vector<SoundFile> files;     ///< sorted by path
};

/// @throws Error when there is no such folder, or no sound in one of its subfolders
SoundFolder read_sound_folder(const std::filesystem::path& folder);

}  // namespace tessera
