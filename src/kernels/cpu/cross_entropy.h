#pragma once
#include <cstdint>

namespace tessera::cpu {

struct LogitRow {
  const void* logits = nullptr;
  bool narrow = false;  ///< bfloat16, else float32
  int64_t count = 0, label = 0;
  float factor = 1;
};

/// @param gradient  of factor times the result by the logits, of their type
/// @return the negative logarithm of the label's share in the softmax of the logits
float cross_entropy(const LogitRow& row, void* gradient);

}  // namespace tessera::cpu
