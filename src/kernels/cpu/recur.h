#pragma once
#include <cstdint>

namespace tessera::cpu {

// Up to 16 channels each; `step` is how many numbers lie between two tokens. What is kept for gradients is the state
// before each block of kKeptTokens.

constexpr int64_t kKeptTokens = 16;

/// See sums_of_powers(): coefficients and ratios are N x channels, real and imaginary parts apart.
struct PowerSums {
  const float *real = nullptr, *imaginary = nullptr, *ratio_real = nullptr, *ratio_imaginary = nullptr;
  int64_t terms = 0, length = 0, step = 0, channels = 0;
};
void sum_powers(const PowerSums& call, float* out);

/// See fused_selective_scan().
struct SelectiveScan {
  const float *x = nullptr, *dt = nullptr;  ///< length x channels
  const float* a = nullptr;                 ///< states x channels, or 1 x channels with one_decay
  const float *b = nullptr, *c = nullptr;   ///< length x states, `selection_step` numbers from one token to the next
  int64_t length = 0, states = 0, step = 0, selection_step = 0, channels = 0;
  bool one_decay = false;  ///< of all states of a channel
};
/// @param state  states x channels, from before the first token to after the last
/// @param kept   blocks x states x `step`; null: nothing is kept
void scan(const SelectiveScan& call, float* state, float* y, float* kept);

/// Those of x and dt are written, the others added to. The steps are those of what they belong to.
struct SelectiveScanSums {
  float *to_x = nullptr, *to_dt = nullptr, *to_a = nullptr, *to_b = nullptr, *to_c = nullptr;
};
/// @param to_state  states x channels, the gradient of the state after the last token; becomes that before the first
void scan_gradient(const SelectiveScan& call, const float* kept, const float* to_y, float* to_state,
                   const SelectiveScanSums& sums);

/// See weighted_means().
struct WeightedMeans {
  const float *key = nullptr, *value = nullptr;    ///< length x channels
  const float *decay = nullptr, *bonus = nullptr;  ///< channels
  int64_t length = 0, step = 0, channels = 0;
};
/// @param kept  blocks x 3 x `step`: values, weights and scale; null: nothing is kept
void average(const WeightedMeans& call, float* out, float* kept);

/// Those of keys and values are written, the others added to.
struct WeightedMeansSums {
  float *to_key = nullptr, *to_value = nullptr, *to_decay = nullptr, *to_bonus = nullptr;
};
void average_gradient(const WeightedMeans& call, const float* kept, const float* to_out, const WeightedMeansSums& sums);

/// `count` scores times exp(entered - top), see decay_scores(); top is above all entered.
/// @return their sum
float decay(const float* entered, float top, int64_t count, float* scores);

}  // namespace tessera::cpu
