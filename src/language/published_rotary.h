#pragma once
#include "io/published_config.h"
#include "layers/rotary.h"

namespace tessera {

/// Reads how a transformers config spells rotary positions: `rope_theta` beside `rope_scaling` (files before version 5)
/// or `rope_parameters` with all of it.
/// @param context  max_position_embeddings
/// @throws Error for a kind or a key that is not known
RotaryOptions read_rotary(PublishedConfig& config, int64_t context);

}  // namespace tessera
