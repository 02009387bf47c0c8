#pragma once
#include <cstdint>

namespace tessera::cpu {

/// One query's scores, and what becomes of them.
struct ScoreRow {
  float* scores = nullptr;
  int64_t begin = 0, end = 0;   ///< the keys that it sees
  int64_t filled = 0;           ///< weights are written up to here, 0 where it sees nothing
  const float* bias = nullptr;  ///< null: none
  int64_t bias_stride = 1;      ///< 0: one number for all keys
  const bool* mask = nullptr;   ///< true where a key is real; null: all are
  float scale = 1, cap = 0;     ///< see AttentionPattern
};

/// Writes e^(score - largest), as float32 or bfloat16, and overwrites the scores.
/// @param weights  `filled` numbers; may be the scores themselves
/// @return the sum of what was written
float weigh(const ScoreRow& row, bool narrow, void* weights);

/// The dot product of two rows, and y += factor x, of float32 or bfloat16 numbers.
float dot(const void* a, const void* b, int64_t count, bool narrow);
void add_scaled(float factor, const void* x, int64_t count, bool narrow, float* y);

}  // namespace tessera::cpu
