#pragma once
#include <torch/types.h>

#include <string>
#include <vector>

#include "core/options.h"
#include "layers/device.h"

namespace tessera {

/// Rotary positions (Su et al., 2021) and how they are stretched beyond the length of the training. `scaling` is
/// "default"; "linear" (Chen et al., 2023: positions divided by `factor`); "dynamic" (theta grows with the length);
/// "yarn" (Peng et al., 2023); "llama3" (Llama 3: low frequencies divided, high ones kept, a blend between); "longrope"
/// (Ding et al., 2024: a divisor per frequency, one list up to the original length and another beyond).
struct RotaryOptions {
  double theta = 10000, fraction = 1;  ///< of a head's channels that rotate, the first ones
  bool adjacent = false;               ///< channels 2i and 2i + 1 are a pair, instead of i and i + d/2
  std::string scaling = "default";
  double factor = 1;
  int64_t original_length = 2048;                           ///< of the training before it was stretched
  double low_frequency = 1, high_frequency = 4;             ///< llama3: waves that fit into the original length
  double beta_fast = 32, beta_slow = 1;                     ///< yarn: likewise, where the ramp begins and ends
  bool truncate = true;                                     ///< yarn: the ramp's ends are whole channels
  double attention_factor = 0;                              ///< of cosine and sine, yarn and longrope; 0: the paper's
  std::vector<double> short_factor = {}, long_factor = {};  ///< longrope, one per frequency
};
TESSERA_OPTIONS(RotaryOptions, theta, fraction, adjacent, scaling, factor, original_length, low_frequency,
                high_frequency, beta_fast, beta_slow, truncate, attention_factor, short_factor, long_factor)

/// The rotation of tokens at certain positions.
struct Rotation {
  torch::Tensor cosine, sine;  ///< B or 1 x 1 x L x r / 2 of the r channels that rotate
  bool adjacent = false;
  /// B x heads x L x d -> the same shape
  torch::Tensor apply(const torch::Tensor& x) const;
};

/// The frequencies of a head and the rotations that they make.
class Rotary {
 public:
  /// @throws Error for an unknown scaling, an odd number of channels, or lists of the wrong length
  Rotary(const RotaryOptions& options, int64_t head_dim);
  /// @param at    positions, B or 1 x L x 1, int64. "dynamic" and "longrope" go by the highest of them.
  /// @param like  type of the result
  Rotation rotation(const torch::Tensor& at, const torch::TensorOptions& like) const;
  /// Radians per position, r / 2, for a sequence of this length; double.
  torch::Tensor frequencies(int64_t length) const;

 private:
  double amplitude() const;
  torch::Tensor frequencies_at(const torch::Tensor& at) const;
  torch::Tensor dynamic_frequencies(const torch::Tensor& length) const;

  RotaryOptions options_;
  int64_t channels_;
  DeviceTable exponents_;     // of theta, r / 2, double
  DeviceTable short_, long_;  // frequencies up to the original length and just beyond it, float32
};

}  // namespace tessera
