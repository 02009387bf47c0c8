#pragma once
#include <cstdint>

namespace tessera::cpu {

/// One query's weights on the way back. A multiple of 16 numbers.
struct WeightRow {
  float* weights = nullptr;       ///< e^(score - largest), as weigh() leaves them
  float* to_weights = nullptr;    ///< what the loss gains by each weight
  const float* slopes = nullptr;  ///< of what bounds the scores; null: nothing does
  int64_t count = 0;
  float factor = 1;  ///< with which the weights sum up to 1
  float shared = 0;  ///< the mean of to_weights, weighed
  float scale = 1;   ///< of the scores
};

/// Puts the weights over `weights` and what the loss gains by each product of query and key over `to_weights`: as
/// float32, or as bfloat16 from where the row begins on.
void score_gradients(const WeightRow& row, bool narrow);

/// The slope of cap tanh(scale score / cap) by scale score: of a multiple of 16 scores.
void cap_slopes(const float* scores, int64_t count, float scale, float cap, float* slopes);

}  // namespace tessera::cpu
