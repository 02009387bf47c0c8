#pragma once
#include <cstdint>

namespace tessera::cpu {

// Up to 16 channels each; `step` is how many numbers lie between two tokens.

/// See sums_of_powers(): coefficients and ratios are N x channels, real and imaginary parts apart.
struct PowerSums {
  const float *real = nullptr, *imaginary = nullptr, *ratio_real = nullptr, *ratio_imaginary = nullptr;
  int64_t terms = 0, length = 0, step = 0, channels = 0;
};
void sum_powers(const PowerSums& call, float* out);

/// See fused_selective_scan().
struct SelectiveScan {
  const float *x = nullptr, *dt = nullptr;  ///< length x channels
  const float* a = nullptr;                 ///< states x channels
  const float *b = nullptr, *c = nullptr;   ///< length x states, `selection_step` numbers from one token to the next
  int64_t length = 0, states = 0, step = 0, selection_step = 0, channels = 0;
};
/// @param state  states x channels, from before the first token to after the last
void scan(const SelectiveScan& call, float* state, float* y);

/// See weighted_means().
struct WeightedMeans {
  const float *key = nullptr, *value = nullptr;    ///< length x channels
  const float *decay = nullptr, *bonus = nullptr;  ///< channels
  int64_t length = 0, step = 0, channels = 0;
};
void average(const WeightedMeans& call, float* out);

/// `count` scores times exp(entered - top), see decay_scores(); top is above all entered.
/// @return their sum
float decay(const float* entered, float top, int64_t count, float* scores);

}  // namespace tessera::cpu
