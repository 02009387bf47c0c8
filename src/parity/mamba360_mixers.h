#pragma once
#include "parity/golden.h"

namespace tessera::parity {

/// A mixer from the arguments of its reference, and the names of its parameters there.
struct SurveyedMixer {
  std::function<Json(const Json& arguments, const Golden& golden)> options;
  NameTable names;
  std::vector<int64_t> layout = {0, 1, 2};  ///< of the recorded tensors: where batch, length and channels stand
};

/// @throws Unsupported for a mixer that is not known
SurveyedMixer surveyed_mixer(const Golden& golden);

/// The names of the state space within GSS.
const NameTable& dss_names();

}  // namespace tessera::parity
