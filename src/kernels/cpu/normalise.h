#pragma once
#include <cstdint>

namespace tessera::cpu {

struct Norm {
  int64_t dim = 0;
  const float* weight = nullptr;
  const float* bias = nullptr;  ///< null: by the root mean square
  float eps = 0;
  bool narrow_in = false, narrow_out = false;
};

/// One row of `dim` numbers.
/// @param normalised  of the type of `out`: what is scaled and shifted to become it; null: not wanted
/// @return the factor of normalised numbers
float normalise(const Norm& norm, const void* x, void* out, void* normalised = nullptr);
/// `out` from normalised numbers of its type.
void scale_and_shift(const Norm& norm, const void* normalised, void* out);

/// The angles of one token.
struct Angles {
  const float *cosine = nullptr, *sine = nullptr;
  int64_t pairs = 0;
  bool adjacent = false;
};

/// Turns one head of one token in place.
void rotate(const Angles& angles, void* x, bool narrow);

}  // namespace tessera::cpu
