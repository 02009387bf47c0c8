#pragma once
#include <torch/types.h>

namespace tessera {

/// Kaldi's log mel filter bank, as speech and audio models read sound.
struct FilterBankOptions {
  double rate = 16000;  ///< samples a second
  int64_t bands = 128;
  double frame = 0.025, shift = 0.01;  ///< seconds
  double low = 20, high = 0;           ///< Hz; high 0 or less: so much below half the rate
  double emphasis = 0.97;              ///< of what changes from sample to sample
};

/// The weights of the bands over the bins of a Fourier transform below half the rate, triangles on the mel scale
/// 1127 ln(1 + f / 700), and the centres of the bands in Hz.
struct MelBanks {
  torch::Tensor weights;  ///< bands x size / 2
  torch::Tensor centres;  ///< bands
};

/// @param size  of the Fourier transform, in samples
MelBanks mel_banks(int64_t size, const FilterBankOptions& options = {});

/// The logarithm of each band's energy, not below the smallest step of a float. Frames lie within the sound: what is
/// left at its end is not read.
/// @param sound  samples, between -1 and 1 or whole numbers as in a file
/// @return frames x bands
/// @throws Error for a sound that is shorter than one frame
torch::Tensor log_mel(const torch::Tensor& sound, const FilterBankOptions& options = {});

/// As the models of Gong et al. (2021, 2022) read a sound: its mean taken away, `frames` frames (cut, or filled with
/// zeros), and (x - mean) / (2 deviation).
torch::Tensor normalised_log_mel(const torch::Tensor& sound, int64_t frames, double mean, double deviation,
                                 const FilterBankOptions& options = {});

}  // namespace tessera
